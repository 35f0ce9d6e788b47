# shellcheck shell=bash
# HAProxy in front of MariaDB: it passes each session through to the server, as PolarDB's proxy does with its connection
# pool off.

haproxy_ports() { echo "$PORT_HAPROXY"; }
haproxy_version() { echo "HAProxy $(haproxy -v 2>/dev/null | sed -n 's/^HAProxy version \([0-9.]*\).*/\1/p')"; }

haproxy_write_conf() {
  mkdir -p "$CONF_DIR/haproxy"
  # The timeouts are longer than any session may be silent: the server's own end it first, as they must behind the
  # managed proxy.
  cat >"$CONF_DIR/haproxy/haproxy.cfg" <<CFG
global
  log stderr format raw local0 notice
  maxconn 2000
defaults
  mode tcp
  log global
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen mariadb
  bind 127.0.0.1:$PORT_HAPROXY
  server mariadb 127.0.0.1:$PORT_MARIADB
CFG
}

haproxy_launch() {
  mkdir -p "$DATA_DIR/haproxy"
  haproxy_write_conf
  launch haproxy "$DATA_DIR/haproxy" haproxy -db -f "$CONF_DIR/haproxy/haproxy.cfg"
}

haproxy_ready() {
  MYSQL_PWD=$DB_PASSWORD mariadb --no-defaults --connect-timeout=2 \
    -h 127.0.0.1 -P "$PORT_HAPROXY" -u "$DB_USER" -e 'SELECT 1' >/dev/null 2>&1
}
