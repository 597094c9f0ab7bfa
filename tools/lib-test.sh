# Versions and places of what only the tests use; tools/lib.sh sources it.

GO_VERSION=1.26.6
OTELCOL_VERSION=$(sed -n 's/^  version: //p' tests/collector/builder.yaml)
KUBERNETES_VERSION=1.35.4
# The oldest that is supported, and the newest Go that builds it.
OLDEST_KUBERNETES_VERSION=1.20.15
OLDEST_GO_VERSION=1.21.13
HELM_VERSION=3.20.2
KWOK_VERSION=0.8.0
JAEGER_VERSION=1.76.0
COMMUNITYID_VERSION=1.5.0
DPKT_VERSION=1.9.8
OTEL_PROTO_VERSION=1.45.2
PROTOBUF_VERSION=6.33.6
GOOGLEAPIS_PROTO_VERSION=1.76.0
HPACK_VERSION=4.2.0

go_dir=$tools/go-$GO_VERSION
# One folder per list of parts, so that clones with different lists do not build over each other.
otelcol_dir=$tools/otelcol-$OTELCOL_VERSION-$(cksum <tests/collector/builder.yaml | cut -d" " -f1)
kubernetes_dir=$tools/kubernetes-$KUBERNETES_VERSION-$(cat tests/cluster/kubernetes/* | cksum | cut -d" " -f1)
oldest_dir=$tools/kubernetes-$OLDEST_KUBERNETES_VERSION-$(cat tests/cluster/oldest/* | cksum | cut -d" " -f1)
images_dir=$tools/images-$(cat tests/cluster/nettool/* tests/cluster/pause.c tests/cluster/image.py | cksum | cut -d" " -f1)
containerd_dir=$tools/containerd
jaeger_dir=$tools/jaeger-$JAEGER_VERSION
helm_dir=$tools/helm-$HELM_VERSION
kwok_dir=$tools/kwok-$KWOK_VERSION
prometheus_dir=$tools/prometheus
python_packages="communityid==$COMMUNITYID_VERSION dpkt==$DPKT_VERSION
  opentelemetry-proto==$OTEL_PROTO_VERSION protobuf==$PROTOBUF_VERSION googleapis-common-protos==$GOOGLEAPIS_PROTO_VERSION hpack==$HPACK_VERSION"
python_dir=$tools/python-$(echo "$python_packages" | cksum | cut -d' ' -f1)

has_go() { at_least "$(go env GOVERSION 2>/dev/null | cut -c3-)" "$GO_VERSION"; }

use_test_tools() {
  PATH=$otelcol_dir:$helm_dir:$kwok_dir:$kubernetes_dir:$containerd_dir/usr/bin:$containerd_dir/usr/sbin:$jaeger_dir:$prometheus_dir/usr/bin:$PATH
  PYTHONPATH=$python_dir
  export PYTHONPATH
}

# in_tmpdir COMMAND...: runs COMMAND, process $pid, with a folder of its own for temporary files; its exit code is $code then. The folder goes
# with it, and it with this script when that is told to end.
in_tmpdir() {
  tmpdir=$(mktemp -d /tmp/mermin-test.XXXXXX)
  chmod 1777 "$tmpdir" # as /tmp is: programs run as other users, too
  code=0
  # By `$!`: a signal may come before $pid is set.
  trap '[ -z "${!-}" ] || kill "$!" || true' HUP INT TERM
  TMPDIR=$tmpdir "$@" &
  pid=$!
  wait "$pid" || code=$?
  # A signal ends only the waiting.
  while kill -0 "$pid" 2>/dev/null; do wait "$pid" || code=$?; done
  # What it had started ends a moment after it, and may write until then.
  rm -rf "$tmpdir" 2>/dev/null || { sleep 1 && rm -rf "$tmpdir"; }
}
