# shellcheck shell=bash
# shellcheck disable=SC2034 # the settings are used by the files that source this one
# Settings, messages, processes and ports for all parts of the stack.

STACK_DIR=${SPILLWAY_STACK_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/spillway-stack}
STACK_DIR=$(realpath -m "$STACK_DIR")
RUN_DIR=$STACK_DIR/run
LOG_DIR=$STACK_DIR/log
DATA_DIR=$STACK_DIR/data
CONF_DIR=$STACK_DIR/conf
LIB_DIR=$STACK_DIR/lib

PARTS=(namesrv broker mariadb haproxy proxy)
# A second broker, and a proxy in cluster mode before both: started by name only.
EXTRA_PARTS=(broker2 clusterproxy)

PORT_NAMESRV=${SPILLWAY_STACK_PORT_NAMESRV:-9876}
PORT_GRPC=${SPILLWAY_STACK_PORT_GRPC:-8081}
PORT_REMOTING=${SPILLWAY_STACK_PORT_REMOTING:-8080}
PORT_CLUSTER_GRPC=${SPILLWAY_STACK_PORT_CLUSTER_GRPC:-8181}
PORT_CLUSTER_REMOTING=${SPILLWAY_STACK_PORT_CLUSTER_REMOTING:-8180}
PORT_BROKER=${SPILLWAY_STACK_PORT_BROKER:-10911}
PORT_METRICS=${SPILLWAY_STACK_PORT_METRICS:-5557}
PORT_MARIADB=${SPILLWAY_STACK_PORT_MARIADB:-13306}
PORT_PROXY=${SPILLWAY_STACK_PORT_PROXY:-13307}
PORT_HAPROXY=${SPILLWAY_STACK_PORT_HAPROXY:-13308}

AUTH=${SPILLWAY_STACK_AUTH:-on}

# Fixed, public credentials: all parts listen on the loopback address only and have test data only.
ROCKETMQ_ACCESS_KEY=spillway
ROCKETMQ_SECRET_KEY=spillway-local-secret
DB_USER=spillway
DB_PASSWORD=spillway-local
PROXY_USER=root
PROXY_PASSWORD=root
PROXY_SCHEMA=spillway_proxy

say() { printf '%s\n' "$*"; }
die() { printf 'stack: %s\n' "$*" >&2; exit 1; }

now_ms() { local t=${EPOCHREALTIME/[.,]/}; echo $((t / 1000)); }

# since START_MS: seconds since then with one decimal.
since() { local ms=$(($(now_ms) - $1)); printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100)); }

check_settings() {
  local name value
  for name in PORT_NAMESRV PORT_GRPC PORT_REMOTING PORT_CLUSTER_GRPC PORT_CLUSTER_REMOTING PORT_BROKER PORT_METRICS PORT_MARIADB \
    PORT_PROXY PORT_HAPROXY; do
    value=${!name}
    if ! [[ $value =~ ^[1-9][0-9]{0,4}$ ]] || ((value < 3 || value > 65534)); then
      die "SPILLWAY_STACK_$name=$value is not a usable port"
    fi
  done
  [[ $AUTH == on || $AUTH == off ]] || die "SPILLWAY_STACK_AUTH=$AUTH must be on or off"
  # The RocketMQ configuration and the class path use these characters as separators.
  [[ $STACK_DIR != *[[:space:]:\;]* ]] || die "SPILLWAY_STACK_DIR must not contain blanks, ':' or ';': $STACK_DIR"
}

# Commands that start or stop processes run one at a time, because tests may call them in parallel.
take_lock() {
  mkdir -p "$STACK_DIR" "$RUN_DIR" "$LOG_DIR" "$DATA_DIR" "$CONF_DIR"
  exec 9>"$STACK_DIR/lock"
  flock -w 300 9 || die "another stack command holds $STACK_DIR/lock for more than 300 s"
}

# --- processes -------------------------------------------------------------------------------------

# Prints the start time, which distinguishes a process from a later one with the same pid. Fails for exited processes and
# zombies.
process_start_time() {
  local stat fields
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} != [ZX] ]] || return 1
  echo "${fields[19]}"
}

record_pid() { echo "$2 $(process_start_time "$2" || echo ended)" >"$RUN_DIR/$1.pid"; }

# part_pid PART: prints the pid if the recorded process still runs.
part_pid() {
  local pid start
  [[ -f $RUN_DIR/$1.pid ]] || return 1
  read -r pid start <"$RUN_DIR/$1.pid" || return 1
  [[ $(process_start_time "$pid") == "$start" ]] || return 1
  echo "$pid"
}

part_alive() { part_pid "$1" >/dev/null; }

# launch PART DIR COMMAND...: starts it detached with its output in the log; renames the previous log to .1.
launch() {
  local part=$1 dir=$2 log=$LOG_DIR/$1.log
  shift 2
  if [[ -f $log ]]; then mv -f "$log" "$log.1"; fi
  mkdir -p "$dir"
  # Without 9>&- the daemon would hold the lock until it exits.
  setsid env -C "$dir" "$@" </dev/null >"$log" 2>&1 9>&- &
  record_pid "$part" $!
}

# await_exit PID START SECONDS
await_exit() {
  local deadline=$(($(now_ms) + $3 * 1000))
  while [[ $(process_start_time "$1") == "$2" ]]; do
    (($(now_ms) < deadline)) || return 1
    sleep 0.05
  done
}

# await_ports PART SECONDS: waits until the part's ports are closed. A process counts as exited when its first thread
# exits; after a SIGKILL other threads may hold its sockets a moment longer.
await_ports() {
  local deadline=$(($(now_ms) + $2 * 1000)) port
  for port in $("${1}_ports"); do
    while port_open "$port"; do
      (($(now_ms) < deadline)) || return 1
      sleep 0.05
    done
  done
}

# end_part PART SIGNAL: SIGNAL is TERM (KILL after 30 s) or KILL.
end_part() {
  local part=$1 signal=$2 pid start began
  if ! pid=$(part_pid "$part"); then
    rm -f "$RUN_DIR/$part.pid"
    say "$part: not running"
    return
  fi
  began=$(now_ms)
  start=$(process_start_time "$pid") || start=ended
  kill -s "$signal" "$pid" 2>/dev/null || true
  # A paused process gets the signal when it continues.
  kill -s CONT "$pid" 2>/dev/null || true
  if ! await_exit "$pid" "$start" 30; then
    say "$part: still running after 30 s, killing it"
    kill -s KILL "$pid" 2>/dev/null || true
    await_exit "$pid" "$start" 10 || die "$part: pid $pid survives SIGKILL"
  fi
  await_ports "$part" 10 || say "$part: stopped, but its ports are still in use"
  rm -f "$RUN_DIR/$part.pid"
  say "$part: stopped by $signal in $(since "$began")"
}

# --- ports and readiness ---------------------------------------------------------------------------

# Ports of other addresses than 127.0.0.1 are written as ADDRESS:PORT.
address_of() { if [[ $1 == *:* ]]; then echo "$1"; else echo "127.0.0.1:$1"; fi; }

port_open() {
  local address
  address=$(address_of "$1")
  (exec 3<>"/dev/tcp/${address%:*}/${address#*:}") 2>/dev/null
}

port_holder() {
  if command -v ss >/dev/null; then
    ss -Hltnp "src $(address_of "$1")" 2>/dev/null | grep -o '"[^"]*",pid=[0-9]*' | head -n 1 || true
  fi
}

require_free_ports() {
  local part=$1 port holder
  for port in $("${part}_ports"); do
    if port_open "$port"; then
      holder=$(port_holder "$port")
      die "$part: port $port is held by another process${holder:+ ($holder)}; stop it or choose another port (stack help)"
    fi
  done
}

fail_part() {
  printf 'stack: %s %s; the end of %s:\n' "$1" "$2" "$LOG_DIR/$1.log" >&2
  tail -n 25 "$LOG_DIR/$1.log" >&2 || true
  exit 1
}

# begin_part PART: launches it unless it runs. Sets STARTED[PART] to the time of the launch.
declare -A STARTED=()
begin_part() {
  local part=$1 pid
  if pid=$(part_pid "$part"); then
    say "$part: already up (pid $pid)"
    return
  fi
  require_free_ports "$part"
  STARTED[$part]=$(now_ms)
  "${part}_launch"
}

# finish_parts PART...: waits until each part that begin_part launched answers.
START_SECONDS=120
finish_parts() {
  local pending=("$@") part began later
  while ((${#pending[@]})); do
    later=()
    for part in "${pending[@]}"; do
      began=${STARTED[$part]:-}
      if [[ -z $began ]]; then
        continue
      elif "${part}_ready"; then
        say "$part: up in $(since "$began") (pid $(part_pid "$part"))"
      elif ! part_alive "$part"; then
        fail_part "$part" "exited during its start"
      elif (($(now_ms) > began + START_SECONDS * 1000)); then
        fail_part "$part" "did not answer within $START_SECONDS s"
      else
        later+=("$part")
      fi
    done
    pending=("${later[@]}")
    if ((${#pending[@]})); then sleep 0.1; fi
  done
}
