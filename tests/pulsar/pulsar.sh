#!/usr/bin/env bash
# A real Apache Pulsar for tests: fetched once with Maven, run as `standalone` in a folder of its own.
#
#   pulsar.sh install        fetch and unpack it if it is not there yet; prints the folder
#   pulsar.sh start DIR      start it, or start it again on the same data; prints what `env` prints when it is ready
#   pulsar.sh start DIR zookeeper   the same with its metadata in a real ZooKeeper; the first start decides
#   pulsar.sh proxy DIR      start Pulsar's own proxy in front of it
#   pulsar.sh gateway DIR NAME KEY=VALUE…
#                            start the Java WebSocket gateway beside it, with these settings: PWS_TEST_JAVA_NAME=host:port
#   pulsar.sh env DIR        PWS_TEST_BROKER=…, PWS_TEST_ADMIN=…, to be read by `eval`; with a ZooKeeper
#                            PWS_TEST_ZOOKEEPER=…, with a proxy PWS_TEST_PROXY=… and PWS_TEST_PROXY_WEB=…
#   pulsar.sh status DIR     prints running or stopped
#   pulsar.sh stop DIR       SIGTERM, and wait until it is gone; the proxy and gateways too
#   pulsar.sh kill DIR       SIGKILL: what a power cut looks like
#
# DIR keeps data, logs, settings and ports, so that a restart is the same broker. Several may run side by side.
# PWS_CACHE is where Pulsar is unpacked (default: ~/.cache/pws-fast). Needs mvn once, and java.
set -euo pipefail

VERSION=4.0.8
CACHE="${PWS_CACHE:-$HOME/.cache/pws-fast}"
HOME_DIR="$CACHE/apache-pulsar-$VERSION"
# Ready takes about 8 s on an idle machine; two cores that also compile need far longer.
READY_SECONDS=180
# A clean stop flushes journals: about 3 s.
STOP_SECONDS=60

fail() { echo "pulsar.sh: $*" >&2; exit 1; }

install_pulsar() {
  if [ ! -x "$HOME_DIR/bin/pulsar" ]; then
    mkdir -p "$CACHE"
    # One at a time; who waited finds the work done.
    exec 9>"$CACHE/lock"
    flock 9
    if [ ! -x "$HOME_DIR/bin/pulsar" ]; then
      command -v mvn >/dev/null || fail "mvn is needed to fetch Pulsar (Debian: apt-get install maven)"
      local unpack="$CACHE/unpack.$$"
      mkdir "$unpack"
      trap 'rm -rf "'"$unpack"'"' EXIT
      mvn -B -q dependency:copy -DoutputDirectory="$unpack" \
        -Dartifact="org.apache.pulsar:pulsar-server-distribution:$VERSION:tar.gz:bin" >&2
      tar -xzf "$unpack"/*.tar.gz -C "$unpack"
      mv "$unpack/apache-pulsar-$VERSION" "$HOME_DIR"
    fi
    exec 9>&-
  fi
}

# Ports below the range that the kernel takes for outgoing connections, so that none of those steals one over a restart.
free_port() {
  local port
  while :; do
    port=$((16000 + RANDOM % 16000))
    { (exec 3<>"/dev/tcp/127.0.0.1/$port"); } 2>/dev/null || { echo "$port"; return; }
  done
}

# The status of a GET, without asking for curl; 000 when nobody answers.
get_status() {
  local answer=""
  answer=$( {
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
    timeout 10 head -c 12 <&3
  } 2>/dev/null) || true
  case "${answer:9:3}" in
    [1-5][0-9][0-9]) echo "${answer:9:3}" ;;
    *) echo 000 ;;
  esac
}

# The process of DIR, if it runs (or its proxy: "proxy." before the name of the file). A number that now belongs to
# another program does not count.
pid_of() {
  local pid
  pid=$(cat "$1/${2:-}pid" 2>/dev/null) || return 1
  # What runs under a dead process's number until its parent collects it has no command line.
  tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$1/" || return 1
  echo "$pid"
}

prepare() {
  local dir=$1
  [ -f "$dir/ports" ] && return
  mkdir -p "$dir/logs"
  local broker web bookie
  broker=$(free_port) web=$(free_port) bookie=$(free_port)
  while [ "$web" = "$broker" ]; do web=$(free_port); done
  while [ "$bookie" = "$broker" ] || [ "$bookie" = "$web" ]; do bookie=$(free_port); done
  sed -e "s/^brokerServicePort=.*/brokerServicePort=$broker/" -e "s/^webServicePort=.*/webServicePort=$web/" \
    -e "s/^bindAddress=.*/bindAddress=127.0.0.1/" -e "s/^advertisedAddress=.*/advertisedAddress=127.0.0.1/" \
    "$HOME_DIR/conf/standalone.conf" >"$dir/standalone.conf"
  echo "$broker $web $bookie" >"$dir/ports"
  if [ "$2" = zookeeper ]; then free_port >"$dir/zookeeper.port"; fi
}

start() {
  local dir=$1 broker web bookie pid
  install_pulsar
  pid_of "$dir" >/dev/null && fail "already running in $dir"
  command -v java >/dev/null || fail "java is needed to run Pulsar (Debian: apt-get install default-jre-headless)"
  prepare "$dir" "$2"
  read -r broker web bookie <"$dir/ports"
  export PULSAR_STANDALONE_CONF="$dir/standalone.conf" PULSAR_LOG_DIR="$dir/logs" PULSAR_LOG_LEVEL=warn
  export PULSAR_MEM="${PULSAR_MEM:--Xms256m -Xmx1g -XX:MaxDirectMemorySize=1g}" PULSAR_GC="${PULSAR_GC:--XX:+UseG1GC}"
  local store=(--metadata-dir="$dir/metadata")
  if [ -f "$dir/zookeeper.port" ]; then
    export PULSAR_STANDALONE_USE_ZOOKEEPER=1
    store=(--zookeeper-dir="$dir/zookeeper" --zookeeper-port="$(cat "$dir/zookeeper.port")")
  fi
  # The script replaces itself by java, so that $! is the broker.
  (cd "$dir" && exec setsid "$HOME_DIR/bin/pulsar" standalone -nfw -nss "${store[@]}" \
    --bookkeeper-dir="$dir/bookkeeper" --bookkeeper-port="$bookie" >>"$dir/pulsar.out" 2>&1 </dev/null 9>&-) &
  pid=$!
  echo "$pid" >"$dir/pid"
  local deadline=$((SECONDS + READY_SECONDS))
  # A lookup only succeeds when namespace, bundle and topic can be served.
  until [ "$(get_status "$web" /lookup/v2/topic/persistent/public/default/ready)" = 200 ]; do
    kill -0 "$pid" 2>/dev/null || { tail -n 20 "$dir/pulsar.out" >&2; fail "Pulsar ended; see $dir/pulsar.out"; }
    [ "$SECONDS" -lt "$deadline" ] || fail "not ready after $READY_SECONDS s; see $dir/pulsar.out"
    sleep 0.3
  done
  show_env "$dir"
}

start_proxy() {
  local dir=$1 broker web bookie port web_port pid
  pid_of "$dir" >/dev/null || fail "nothing runs in $dir to be in front of"
  pid_of "$dir" proxy. >/dev/null && fail "there is a proxy already"
  read -r broker web bookie <"$dir/ports"
  port=$(free_port) web_port=$(free_port)
  while [ "$web_port" = "$port" ]; do web_port=$(free_port); done
  sed -e "s|^brokerServiceURL=.*|brokerServiceURL=pulsar://127.0.0.1:$broker|" -e "s/^servicePort=.*/servicePort=$port/" \
    -e "s/^clusterName=.*/clusterName=standalone/" \
    -e "s|^brokerWebServiceURL=.*|brokerWebServiceURL=http://127.0.0.1:$web|" -e "s/^webServicePort=.*/webServicePort=$web_port/" \
    -e "s/^brokerProxyAllowedTargetPorts=.*/brokerProxyAllowedTargetPorts=$broker/" \
    -e "s/^brokerProxyAllowedHostNames=.*/brokerProxyAllowedHostNames=127.0.0.1/" \
    -e "s/^bindAddress=.*/bindAddress=127.0.0.1/" "$HOME_DIR/conf/proxy.conf" >"$dir/proxy.conf"
  echo "$port $web_port" >"$dir/proxy.ports"
  export PULSAR_PROXY_CONF="$dir/proxy.conf" PULSAR_LOG_DIR="$dir/logs" PULSAR_LOG_LEVEL=warn
  export PULSAR_MEM="-Xms64m -Xmx512m -XX:MaxDirectMemorySize=256m" PULSAR_GC="${PULSAR_GC:--XX:+UseG1GC}"
  # Its folder is in its command line, by which it is known.
  (cd "$dir" && exec setsid "$HOME_DIR/bin/pulsar" proxy >>"$dir/proxy.out" 2>&1 </dev/null) &
  pid=$!
  echo "$pid" >"$dir/proxy.pid"
  local deadline=$((SECONDS + READY_SECONDS))
  until [ "$(get_status "$web_port" /lookup/v2/topic/persistent/public/default/ready)" = 200 ]; do
    kill -0 "$pid" 2>/dev/null || { tail -n 20 "$dir/proxy.out" >&2; fail "the proxy ended; see $dir/proxy.out"; }
    [ "$SECONDS" -lt "$deadline" ] || fail "no proxy after $READY_SECONDS s; see $dir/proxy.out"
    sleep 0.3
  done
  show_env "$dir"
}

start_gateway() {
  local dir=$1 name=$2 broker web bookie port setting pid
  shift 2
  read -r broker web bookie <"$dir/ports" || fail "never started in $dir"
  pid_of "$dir" "gateway.$name." >/dev/null && fail "there is a gateway $name already"
  port=$(free_port)
  cp "$HOME_DIR/conf/websocket.conf" "$dir/gateway.$name.conf"
  for setting in "brokerServiceUrl=pulsar://127.0.0.1:$broker" "serviceUrl=http://127.0.0.1:$web" "webServicePort=$port" \
    bindAddress=127.0.0.1 clusterName=standalone "$@"; do
    sed -i "/^${setting%%=*}=/d" "$dir/gateway.$name.conf"
    echo "$setting" >>"$dir/gateway.$name.conf"
  done
  export PULSAR_WEBSOCKET_CONF="$dir/gateway.$name.conf" PULSAR_LOG_DIR="$dir/logs" PULSAR_LOG_LEVEL=warn
  export PULSAR_MEM="-Xms64m -Xmx256m -XX:MaxDirectMemorySize=256m" PULSAR_GC="${PULSAR_GC:--XX:+UseSerialGC}"
  (cd "$dir" && exec setsid "$HOME_DIR/bin/pulsar" websocket >>"$dir/gateway.$name.out" 2>&1 </dev/null) &
  pid=$!
  echo "$pid" >"$dir/gateway.$name.pid"
  local deadline=$((SECONDS + READY_SECONDS))
  until [ "$(get_status "$port" /ws/v2/producer/)" != 000 ]; do
    kill -0 "$pid" 2>/dev/null || { tail -n 20 "$dir/gateway.$name.out" >&2; fail "the gateway ended; see $dir/gateway.$name.out"; }
    [ "$SECONDS" -lt "$deadline" ] || fail "no gateway after $READY_SECONDS s; see $dir/gateway.$name.out"
    sleep 0.3
  done
  echo "PWS_TEST_JAVA_$name=127.0.0.1:$port"
}

show_env() {
  local broker web bookie
  read -r broker web bookie <"$1/ports" || fail "never started in $1"
  echo "PWS_TEST_BROKER=pulsar://127.0.0.1:$broker"
  echo "PWS_TEST_ADMIN=http://127.0.0.1:$web"
  if [ -f "$1/zookeeper.port" ]; then echo "PWS_TEST_ZOOKEEPER=127.0.0.1:$(cat "$1/zookeeper.port")"; fi
  if [ -f "$1/proxy.ports" ]; then
    read -r broker web <"$1/proxy.ports"
    echo "PWS_TEST_PROXY=pulsar://127.0.0.1:$broker"
    echo "PWS_TEST_PROXY_WEB=http://127.0.0.1:$web"
  fi
}

end() {
  local dir=$1 signal=$2 which=${3:-} pid
  pid=$(pid_of "$dir" "$which") || return 0
  kill "-$signal" "$pid"
  local deadline=$((SECONDS + STOP_SECONDS))
  while pid_of "$dir" "$which" >/dev/null; do
    [ "$SECONDS" -lt "$deadline" ] || fail "process $pid does not end"
    sleep 0.1
  done
  rm -f "$dir/${which}pid"
  if [ "$which" = proxy. ]; then rm -f "$dir/proxy.ports"; fi
}

[ $# -ge 1 ] || fail "usage: pulsar.sh install | start DIR [zookeeper] | proxy DIR | gateway DIR NAME KEY=VALUE… | env DIR | status DIR | stop DIR | kill DIR"
action=$1
if [ "$action" = install ]; then
  install_pulsar
  echo "$HOME_DIR"
  exit
fi
kind=${3:-}
[ $# = 2 ] || [ "$action $kind" = "start zookeeper" ] || [ "$action" = gateway ] || fail "$action needs a folder"
mkdir -p "$2"
dir=$(cd "$2" && pwd)
case "$action" in
  start) start "$dir" "$kind" ;;
  proxy) start_proxy "$dir" ;;
  gateway) start_gateway "$dir" "${@:3}" ;;
  env) show_env "$dir" ;;
  status) if pid_of "$dir" >/dev/null; then echo running; else echo stopped; fi ;;
  stop)
    end "$dir" TERM proxy.
    for file in "$dir"/gateway.*.pid; do
      [ ! -e "$file" ] || end "$dir" TERM "$(basename "${file%pid}")"
    done
    end "$dir" TERM
    ;;
  kill) end "$dir" KILL ;;
  *) fail "unknown action $action" ;;
esac
