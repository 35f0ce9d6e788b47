# shellcheck shell=bash
# RocketMQ: the name server, and the broker with its gRPC proxy in one process ("local" proxy mode).

CLUSTER=DefaultCluster
# The broker's own account for its internal calls; clients never use it.
ROCKETMQ_INNER_KEY=spillway-inner
ROCKETMQ_INNER_SECRET=spillway-inner-secret

# A broker also listens on two derived ports: "VIP" (-2) and replication (set to +1 below).
namesrv_ports() { echo "$PORT_NAMESRV"; }
broker_ports() {
  printf '%s\n' "$PORT_GRPC" "$PORT_REMOTING" "$PORT_BROKER" $((PORT_BROKER - 2)) $((PORT_BROKER + 1)) "$PORT_METRICS"
}

rocketmq_version() { echo "RocketMQ $(jar_version "$LIB_DIR"/rocketmq/rocketmq-broker-*.jar)"; }
namesrv_version() { rocketmq_version; }
broker_version() { rocketmq_version; }

# Prints the authentication mode of the running broker, else the configured mode.
effective_auth() {
  if part_alive broker && [[ -f $RUN_DIR/auth ]]; then cat "$RUN_DIR/auth"; else echo "$AUTH"; fi
}

# rocketmq_launch PART LOGGING MAIN-CLASS ARGUMENTS...: HEAP has the memory options.
rocketmq_launch() {
  local part=$1 logging=rmq.$2.logback.xml options
  shift 2
  mapfile -t options < <(loopback_options)
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
  rocketmq_launch namesrv namesrv org.apache.rocketmq.namesrv.NamesrvStartup -c "$CONF_DIR/namesrv.conf"
}

namesrv_ready() { port_open "$PORT_NAMESRV"; }

broker_write_conf() {
  local store=$DATA_DIR/broker/store
  cat >"$CONF_DIR/broker.conf" <<CONF
brokerClusterName=$CLUSTER
brokerName=broker-a
brokerId=0
brokerIP1=127.0.0.1
brokerIP2=127.0.0.1
bindAddress=127.0.0.1
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
metricsPromExporterHost=127.0.0.1
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

  cat >"$CONF_DIR/rmq-proxy.json" <<JSON
{
  "rocketMQClusterName": "$CLUSTER",
  "proxyMode": "local",
  "namesrvAddr": "127.0.0.1:$PORT_NAMESRV",
  "grpcServerPort": $PORT_GRPC,
  "remotingListenPort": $PORT_REMOTING,
  "enableTopicMessageTypeCheck": true,
  "topicRouteServiceCacheRefreshSeconds": 2,
  "grpcShutdownTimeSeconds": 2$(broker_proxy_auth)
}
JSON
  if [[ $AUTH == on ]]; then broker_auth >>"$CONF_DIR/broker.conf"; fi
  echo "$AUTH" >"$RUN_DIR/auth"
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
  "authenticationProvider": "org.apache.rocketmq.auth.authentication.provider.DefaultAuthenticationProvider",
  "authenticationMetadataProvider": "org.apache.rocketmq.proxy.auth.ProxyAuthenticationMetadataProvider",
  "innerClientAuthenticationCredentials": "{\"accessKey\":\"$ROCKETMQ_INNER_KEY\",\"secretKey\":\"$ROCKETMQ_INNER_SECRET\"}"
JSON
}

broker_launch() {
  broker_write_conf
  local heap=${SPILLWAY_STACK_BROKER_HEAP:-768m}
  HEAP=(-Xms"$heap" -Xmx"$heap" -XX:MaxDirectMemorySize="$heap")
  rocketmq_launch broker proxy org.apache.rocketmq.proxy.ProxyStartup -pm local \
    -bc "$CONF_DIR/broker.conf" -pc "$CONF_DIR/rmq-proxy.json" -n "127.0.0.1:$PORT_NAMESRV"
}

broker_ready() { port_open "$PORT_GRPC" && port_open "$PORT_BROKER" && port_open "$PORT_METRICS"; }

# --- administration --------------------------------------------------------------------------------

# stack_admin SECONDS ARGUMENTS...: see java/StackAdmin.java.
stack_admin() {
  local seconds=$1 key='' secret='' archive=$LIB_DIR/java/admin.jsa cds
  shift
  if [[ $(effective_auth) == on ]]; then
    key=$ROCKETMQ_ACCESS_KEY
    secret=$ROCKETMQ_SECRET_KEY
  fi
  if [[ -f $archive ]]; then cds="-XX:SharedArchiveFile=$archive"; else cds="-XX:ArchiveClassesAtExit=$archive"; fi
  STACK_NAMESRV=127.0.0.1:$PORT_NAMESRV STACK_BROKER=127.0.0.1:$PORT_BROKER STACK_GRPC=127.0.0.1:$PORT_GRPC \
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
# signed calls. Skipped while the other part is down, as in a fault test.
confirm_broker() {
  [[ -n ${STARTED[namesrv]:-}${STARTED[broker]:-} ]] || return 0
  if ! part_alive namesrv || ! part_alive broker; then return 0; fi
  local began
  began=$(now_ms)
  stack_admin 60 ready
  say "broker: registered and ready, authentication $(effective_auth), checked in $(since "$began")"
}
