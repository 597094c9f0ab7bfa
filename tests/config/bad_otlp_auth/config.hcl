export "traces" {
  otlp {
    endpoint = "https://collector:4317"
    headers  = { Authorization = env("TOKEN") }
    auth {
      bearer = env("TOKEN")
    }
  }
}

internal "traces" {
  otlp {
    auth {
      basic {
        user = "a:b"
        pass = env("TOKEN")
      }
      bearer = "${env("TOKEN")}\n"
    }
  }
}
