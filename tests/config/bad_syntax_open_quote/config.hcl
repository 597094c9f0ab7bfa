log_level = "info
span {
}
