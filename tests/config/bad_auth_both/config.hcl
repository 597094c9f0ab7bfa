export "traces" {
  otlp {
    auth {
      basic = { user = "me", pass = "do-not-show-me" }
      bearer = "do-not-show-me"
    }
  }
}
