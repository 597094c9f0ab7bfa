log_format = "jsn"
on_exit    = "stay"
discovery "instrument" {
  tcx_order = "middle"
}
parser {
  key_scope = "vlan"
}
