span {
  community_id_seed = 65536
}
