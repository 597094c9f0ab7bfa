discovery "instrumnt" {
}

export "metrics" {
}

export {
  otlp = {}
}

span "tcp" {
}
