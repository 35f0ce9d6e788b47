# shellcheck shell=bash
# ShardingSphere-Proxy in front of MariaDB: many client connections share few backend connections, as
# behind the pooling proxy of a managed database.

proxy_ports() { echo "$PORT_PROXY"; }
proxy_version() {
  echo "ShardingSphere-Proxy $(jar_version "$LIB_DIR"/proxy/shardingsphere-proxy-bootstrap-*.jar)"
}

proxy_write_conf() {
  local conf=$CONF_DIR/proxy
  mkdir -p "$conf/conf"

  # root/root: the proxy has its own users. It listens on the loopback
  # address only and reaches one test schema, so the password need not be secret.
  cat >"$conf/conf/server.yaml" <<YAML
rules:
  - !AUTHORITY
    users:
      - $PROXY_USER@%:$PROXY_PASSWORD
    provider:
      type: ALL_PRIVILEGES_PERMITTED
props:
  sql-show: false
YAML

  # maxPoolSize is small, so that tests can exhaust the connections.
  cat >"$conf/conf/config-$PROXY_SCHEMA.yaml" <<YAML
schemaName: $PROXY_SCHEMA
dataSources:
  mariadb:
    url: jdbc:mysql://127.0.0.1:$PORT_MARIADB/$PROXY_SCHEMA?useSSL=false&serverTimezone=UTC&characterEncoding=UTF-8
    username: $DB_USER
    password: $DB_PASSWORD
    connectionTimeoutMilliseconds: 10000
    idleTimeoutMilliseconds: 60000
    maxLifetimeMilliseconds: 1800000
    maxPoolSize: 8
    minPoolSize: 1
rules: []
YAML

  # Without a configuration logback logs every packet at debug level.
  cat >"$conf/logback.xml" <<'XML'
<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{yyyy-MM-dd HH:mm:ss.SSS} %-5level [%thread] %logger{36} - %msg%n</pattern></encoder>
  </appender>
  <logger name="org.apache.shardingsphere" level="info"/>
  <root level="warn"><appender-ref ref="console"/></root>
</configuration>
XML
}

# Before the proxy's first start: the data folder outlives a run, so tables of another version's migrations would fail the next.
proxy_empty_schema() {
  MYSQL_PWD=$DB_PASSWORD mariadb --no-defaults -h 127.0.0.1 -P "$PORT_MARIADB" -u "$DB_USER" \
    -e "DROP DATABASE IF EXISTS $PROXY_SCHEMA; CREATE DATABASE $PROXY_SCHEMA" || fail_part proxy "failed to empty its schema"
}

proxy_launch() {
  local options
  mapfile -t options < <(loopback_options 127.0.0.1)
  proxy_write_conf
  # The configuration folder is looked up on the class path. The working folder receives a ./logs folder.
  launch proxy "$DATA_DIR/proxy" "$JAVA_BIN/java" "${options[@]}" \
    -Xms64m -Xmx256m -XX:+UseSerialGC \
    -cp "$CONF_DIR/proxy:$LIB_DIR/proxy/*" \
    org.apache.shardingsphere.proxy.Bootstrap "$PORT_PROXY" /conf
}

proxy_ready() {
  MYSQL_PWD=$PROXY_PASSWORD mariadb --no-defaults --connect-timeout=2 \
    -h 127.0.0.1 -P "$PORT_PROXY" -u "$PROXY_USER" -e 'SELECT 1' "$PROXY_SCHEMA" >/dev/null 2>&1
}
