export "traces" {
  otlp = {
    endpoint = "http://me:${env("TOKEN")}@localhost:4317"
  }
}
