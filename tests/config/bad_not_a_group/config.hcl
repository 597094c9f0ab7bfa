span = "5s"
discovery "instrument" {
  interfaces = "eth0"
}
parser = [1]
api = null
