api {
  port = env("NO_SUCH_PORT")
}
export "traces" {
  otlp {
    endpoint = "${env("NO_SUCH_HOST")}/v1/traces"
    headers  = { x-token = env("NO_SUCH_TOKEN") }
  }
}
