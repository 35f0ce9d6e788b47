# shellcheck shell=bash
# MariaDB, the MySQL-compatible database, with its own data folder and no system configuration.

mariadb_ports() { echo "$PORT_MARIADB"; }
mariadb_version() { mariadbd --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+-MariaDB' || echo "MariaDB"; }

mariadb_create_data() {
  local data=$DATA_DIR/mariadb
  [[ ! -f $data/.complete ]] || return 0
  rm -rf "$data"
  # --skip-test-db also leaves out the anonymous users, which would shadow '%' accounts at login.
  mariadb-install-db --no-defaults "${MARIADB_USER[@]}" --auth-root-socket-user="$(id -un)" \
    --skip-test-db --skip-name-resolve --datadir="$data" >"$LOG_DIR/mariadb.log" 2>&1 ||
    fail_part mariadb "failed to create its data folder"
  touch "$data/.complete"
}

# Written at every start, so that a changed setting applies to an existing data folder.
mariadb_write_init() {
  cat >"$CONF_DIR/mariadb-init.sql" <<SQL
CREATE USER IF NOT EXISTS '$DB_USER'@'127.0.0.1';
ALTER USER '$DB_USER'@'127.0.0.1' IDENTIFIED BY '$DB_PASSWORD';
GRANT ALL PRIVILEGES ON \`spillway\\_%\`.* TO '$DB_USER'@'127.0.0.1';
CREATE DATABASE IF NOT EXISTS $PROXY_SCHEMA;
SQL
}

mariadb_launch() {
  MARIADB_USER=()
  # mariadbd needs --user=root to run as root; another account could not read this folder.
  if ((EUID == 0)); then MARIADB_USER=(--user=root); fi
  mariadb_create_data
  mariadb_write_init
  local options=(
    --no-defaults "${MARIADB_USER[@]}"
    --datadir="$DATA_DIR/mariadb"
    --bind-address=127.0.0.1 --port="$PORT_MARIADB"
    --socket=mysql.sock --pid-file=mysql.pid # relative to the data folder: socket paths are limited to 107 bytes
    --init-file="$CONF_DIR/mariadb-init.sql"
    --skip-name-resolve
    --max-connections=500

    # A committed order must survive a kill of the process and of the machine.
    --innodb-flush-log-at-trx-commit=1
    --innodb-buffer-pool-size=256M
    --innodb-log-file-size=128M

    # As in MySQL 8.0, which MariaDB replaces here.
    --character-set-server=utf8mb4 --collation-server=utf8mb4_general_ci
    --default-time-zone=+00:00
    "--sql-mode=ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
  )
  launch mariadb "$DATA_DIR/mariadb" mariadbd "${options[@]}"
}

mariadb_ready() {
  MYSQL_PWD=$DB_PASSWORD mariadb --no-defaults --connect-timeout=2 \
    -h 127.0.0.1 -P "$PORT_MARIADB" -u "$DB_USER" -e 'SELECT 1' "$PROXY_SCHEMA" >/dev/null 2>&1
}
