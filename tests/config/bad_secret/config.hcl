export "traces" {
  otlp = {
    headers = {
      "x token" = env("TOKEN")
      good      = "${env("TOKEN")}\n"
    }
    auth = {
      bearer = env("TOKEN")
      basic  = { user = "me", pass = [env("TOKEN")] }
    }
  }
}
