log_level = env("LOG LEVEL", env("X"), 1)
on_exit = env(1)
shutdown_timeout = file("x")
span {
  tcp_timeout = 5 * 4
  udp_timeout = env("NOT_SET_ANYWHERE")
}
