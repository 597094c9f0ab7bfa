# Text, numbers and templates from variables.
log_level = env("LOG_LEVEL_THAT_IS_NOT_SET", "debug")
discovery "instrument" {
  interfaces = ["eth${env("NUMBER_THAT_IS_NOT_SET")}", env("PATTERN_THAT_IS_NOT_SET", "veth*")]
}
export "traces" {
  otlp = {
    endpoint = "${env("COLLECTOR")}/v1/traces"
    protocol = "http_binary"
    headers  = { authorization = "Bearer ${env("TOKEN")}" }
  }
}
api {
  port = env("API_PORT")
}
