export "traces" {
  otlp {
    headers = {
      "x tenant" = "a",
      "x-token"  = "do-not-show-me\r\nx: y",
      "x-number" = 5,
    }
  }
}
