# shellcheck shell=bash
# RocketMQ: the name server, brokers with their gRPC proxy in one process ("local" proxy mode), and a proxy of its own
# ("cluster" mode).

CLUSTER=DefaultCluster
# The broker's own account for its internal calls; clients never use it.
ROCKETMQ_INNER_KEY=spillway-inner
ROCKETMQ_INNER_SECRET=spillway-inner-secret

# A broker also listens on two derived ports: "VIP" (-2) and replication (set to +1 below).
namesrv_ports() { echo "$PORT_NAMESRV"; }
local_proxy_ports() {
  printf "$1:%s\n" "$PORT_GRPC" "$PORT_REMOTING" "$PORT_BROKER" $((PORT_BROKER - 2)) $((PORT_BROKER + 1)) "$PORT_METRICS"
}
# A proxy in local mode names every broker by the broker's address and its own port, so both brokers have the same ports.
BROKER_ADDRESS=127.0.0.1
BROKER2_ADDRESS=127.0.0.2
broker_ports() { local_proxy_ports "$BROKER_ADDRESS"; }
broker2_ports() { local_proxy_ports "$BROKER2_ADDRESS"; }
clusterproxy_ports() { printf '%s\n' "$PORT_CLUSTER_GRPC" "$PORT_CLUSTER_REMOTING"; }

rocketmq_version() { echo "RocketMQ $(jar_version "$LIB_DIR"/rocketmq/rocketmq-broker-*.jar)"; }
namesrv_version() { rocketmq_version; }
broker_version() { rocketmq_version; }
broker2_version() { rocketmq_version; }
clusterproxy_version() { rocketmq_version; }

# Prints the authentication mode of the running broker, else the configured mode.
effective_auth() {
  if part_alive broker && [[ -f $RUN_DIR/auth ]]; then cat "$RUN_DIR/auth"; else echo "$AUTH"; fi
}

# rocketmq_launch PART ADDRESS LOGGING MAIN-CLASS ARGUMENTS...: HEAP has the memory options.
rocketmq_launch() {
  local part=$1 logging=rmq.$3.logback.xml options
  mapfile -t options < <(loopback_options "$2")
  shift 3
  mkdir -p "$CONF_DIR/rocketmq/conf"
  # user.home: folder of logs and some stores; one for each part, because they use the same file
  # names. Without a log configuration, any one on the class path is used.
  # The add-... options are needed since Java 16.
  launch "$part" "$DATA_DIR/$part" env ROCKETMQ_HOME="$CONF_DIR/rocketmq" "$JAVA_BIN/java" \
    "${options[@]}" "${HEAP[@]}" \
    -Duser.home="$LOG_DIR/$part" -Drmq.logback.configurationFile="$logging" \
    --add-exports=java.base/jdk.internal.ref=ALL-UNNAMED \
    --add-exports=java.base/sun.nio.ch=ALL-UNNAMED \
    --add-opens=java.base/java.nio=ALL-UNNAMED \
    -cp "$LIB_DIR/rocketmq/*" "$@"
}

namesrv_launch() {
  cat >"$CONF_DIR/namesrv.conf" <<CONF
listenPort=$PORT_NAMESRV
bindAddress=127.0.0.1
kvConfigPath=$DATA_DIR/namesrv/kvConfig.json
configStorePath=$DATA_DIR/namesrv/namesrv.properties
CONF
  HEAP=(-Xms32m -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1)
  rocketmq_launch namesrv 127.0.0.1 namesrv org.apache.rocketmq.namesrv.NamesrvStartup -c "$CONF_DIR/namesrv.conf"
}

namesrv_ready() { port_open "$PORT_NAMESRV"; }

# broker_write_conf PART NAME ADDRESS
broker_write_conf() {
  local part=$1 name=$2 address=$3 store=$DATA_DIR/$1/store
  cat >"$CONF_DIR/$part.conf" <<CONF
brokerClusterName=$CLUSTER
brokerName=$name
brokerId=0
brokerIP1=$address
brokerIP2=$address
bindAddress=$address
listenPort=$PORT_BROKER
haListenPort=$((PORT_BROKER + 1))
namesrvAddr=127.0.0.1:$PORT_NAMESRV
storePathRootDir=$store
storePathCommitLog=$store/commitlog

# As on a managed instance, topics and groups are created explicitly.
autoCreateTopicEnable=false
autoCreateSubscriptionGroup=false

# The broker acknowledges a message that is in the memory-mapped log, which survives a kill -9 of the process without
# loss. Only a crash of the machine needs SYNC_FLUSH, which would make every test depend on the disk.
flushDiskType=ASYNC_FLUSH
transientStorePoolEnable=false

# After a kill the broker redelivers messages received since the last save of the consumer offsets.
flushConsumerOffsetInterval=1000

# Lag of the consumer groups in Prometheus format: the gRPC protocol has no call for it.
metricsExporterType=PROM
metricsPromExporterHost=$address
metricsPromExporterPort=$PORT_METRICS

# A restarted name server learns the routes within this period (10 s is the broker's minimum).
registerNameServerPeriod=10000

# Development disks often exceed the default limits, above which the broker rejects messages.
diskMaxUsedSpaceRatio=95
diskSpaceCleanForciblyRatio=96
diskSpaceWarningLevelRatio=98
fileReservedTime=24
mappedFileSizeCommitLog=268435456
CONF

  proxy_conf local "$PORT_GRPC" "$PORT_REMOTING" >"$CONF_DIR/$part-proxy.json"
  if [[ $AUTH == on ]]; then broker_auth >>"$CONF_DIR/$part.conf"; fi
  echo "$AUTH" >"$RUN_DIR/auth"
}

# proxy_conf MODE GRPC-PORT REMOTING-PORT
proxy_conf() {
  cat <<JSON
{
  "rocketMQClusterName": "$CLUSTER",
  "proxyMode": "$1",
  "namesrvAddr": "127.0.0.1:$PORT_NAMESRV",
  "grpcServerPort": $2,
  "remotingListenPort": $3,
  "enableTopicMessageTypeCheck": true,
  "topicRouteServiceCacheRefreshSeconds": 2,
  "sendLatencyEnable": true,
  "startDetectorEnable": true,
  "grpcShutdownTimeSeconds": 2$(broker_proxy_auth)
}
JSON
}

# Every call must be signed, so that the real server checks a client's signatures. No access
# rules ("authorization"): both accounts have all rights.
broker_auth() {
  cat <<CONF

authenticationEnabled=true
authenticationProvider=org.apache.rocketmq.auth.authentication.provider.DefaultAuthenticationProvider
authenticationMetadataProvider=org.apache.rocketmq.auth.authentication.provider.LocalAuthenticationMetadataProvider
initAuthenticationUser={"username":"$ROCKETMQ_ACCESS_KEY","password":"$ROCKETMQ_SECRET_KEY"}
innerClientAuthenticationCredentials={"accessKey":"$ROCKETMQ_INNER_KEY","secretKey":"$ROCKETMQ_INNER_SECRET"}
CONF
}

# The proxy has its own authentication setting; its provider reads the accounts from the broker.
broker_proxy_auth() {
  [[ $AUTH == on ]] || return 0
  cat <<JSON
,
  "authenticationEnabled": true,
  "enableAclRpcHookForClusterMode": true,
  "authenticationProvider": "org.apache.rocketmq.auth.authentication.provider.DefaultAuthenticationProvider",
  "authenticationMetadataProvider": "org.apache.rocketmq.proxy.auth.ProxyAuthenticationMetadataProvider",
  "innerClientAuthenticationCredentials": "{\"accessKey\":\"$ROCKETMQ_INNER_KEY\",\"secretKey\":\"$ROCKETMQ_INNER_SECRET\"}"
JSON
}

# broker_launch_at PART NAME ADDRESS
broker_launch_at() {
  broker_write_conf "$@"
  local heap=${SPILLWAY_STACK_BROKER_HEAP:-768m}
  HEAP=(-Xms"$heap" -Xmx"$heap" -XX:MaxDirectMemorySize="$heap")
  rocketmq_launch "$1" "$3" proxy org.apache.rocketmq.proxy.ProxyStartup -pm local \
    -bc "$CONF_DIR/$1.conf" -pc "$CONF_DIR/$1-proxy.json" -n "127.0.0.1:$PORT_NAMESRV"
}

broker_launch() { broker_launch_at broker broker-a "$BROKER_ADDRESS"; }
broker2_launch() { broker_launch_at broker2 broker-b "$BROKER2_ADDRESS"; }

broker_ready_at() { port_open "$1:$PORT_GRPC" && port_open "$1:$PORT_BROKER" && port_open "$1:$PORT_METRICS"; }
broker_ready() { broker_ready_at "$BROKER_ADDRESS"; }
broker2_ready() { broker_ready_at "$BROKER2_ADDRESS"; }

clusterproxy_launch() {
  proxy_conf cluster "$PORT_CLUSTER_GRPC" "$PORT_CLUSTER_REMOTING" >"$CONF_DIR/clusterproxy.json"
  HEAP=(-Xms64m -Xmx512m -XX:MaxDirectMemorySize=512m)
  rocketmq_launch clusterproxy 127.0.0.1 proxy org.apache.rocketmq.proxy.ProxyStartup -pm cluster \
    -pc "$CONF_DIR/clusterproxy.json" -n "127.0.0.1:$PORT_NAMESRV"
}

clusterproxy_ready() { port_open "$PORT_CLUSTER_GRPC"; }

# --- administration --------------------------------------------------------------------------------

# stack_admin SECONDS ARGUMENTS...: see java/StackAdmin.java. It works on the first broker, and with BOTH_BROKERS on both.
BOTH_BROKERS=
stack_admin() {
  local brokers=$BROKER_ADDRESS:$PORT_BROKER proxies=$BROKER_ADDRESS:$PORT_GRPC seconds=$1 key='' secret='' archive=$LIB_DIR/java/admin.jsa cds
  shift
  if [[ $(effective_auth) == on ]]; then
    key=$ROCKETMQ_ACCESS_KEY
    secret=$ROCKETMQ_SECRET_KEY
  fi
  if [[ -n $BOTH_BROKERS ]]; then
    brokers+=,$BROKER2_ADDRESS:$PORT_BROKER
    proxies+=,$BROKER2_ADDRESS:$PORT_GRPC
    if part_alive clusterproxy; then proxies+=,127.0.0.1:$PORT_CLUSTER_GRPC; fi
  fi
  if [[ -f $archive ]]; then cds="-XX:SharedArchiveFile=$archive"; else cds="-XX:ArchiveClassesAtExit=$archive"; fi
  STACK_NAMESRV=127.0.0.1:$PORT_NAMESRV STACK_BROKERS=$brokers STACK_PROXIES=$proxies \
    STACK_ACCESS_KEY=$key STACK_SECRET_KEY=$secret STACK_TIMEOUT=$seconds \
    "$JAVA_BIN/java" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -Xlog:disable -Xmx128m "$cds" \
    -Duser.home="$LOG_DIR/admin" -Drmq.logback.configurationFile=rmq.tools.logback.xml \
    -cp "$LIB_DIR/java/admin.jar:$LIB_DIR/rocketmq/*" StackAdmin "$@" 2>"$LOG_DIR/admin.$$.log" || {
    local reason
    reason=$(tail -n 1 "$LOG_DIR/admin.$$.log")
    rm -f "$LOG_DIR/admin.$$.log"
    die "RocketMQ: ${reason:-the administration tool failed}"
  }
  rm -f "$LOG_DIR/admin.$$.log"
}

# After a start an open port is not enough: the broker must be registered at the name server and answer
# signed calls. Skipped while another part is down, as in a fault test.
confirm_broker() {
  [[ -n ${STARTED[namesrv]:-}${STARTED[broker]:-}${STARTED[broker2]:-}${STARTED[clusterproxy]:-} ]] || return 0
  if ! part_alive namesrv || ! part_alive broker; then return 0; fi
  local began
  began=$(now_ms)
  if part_alive broker2; then BOTH_BROKERS=yes; fi
  stack_admin 60 ready
  say "broker: registered and ready, authentication $(effective_auth), checked in $(since "$began")"
}
