# shellcheck shell=bash
# Installs the stack's programs: MariaDB and HAProxy from the distribution, jars from Maven, the Python client, the SQL parser, two small Java classes.

PATH=$PATH:/usr/sbin:/sbin

find_java() {
  local java=${JAVA_HOME:+$JAVA_HOME/bin/java}
  java=${java:-$(command -v java || true)}
  [[ -n $java && -x $java ]] || die "java is missing: install a JDK 11 or later (Debian: apt-get install default-jdk-headless)"
  JAVA_BIN=$(dirname "$(readlink -f "$java")")
}

# timed LABEL COMMAND...: runs it with its output in log/install.log and prints its duration.
timed() {
  local label=$1 began
  shift
  began=$(now_ms)
  if ! "$@" >"$LOG_DIR/install.log" 2>&1; then
    printf 'stack: %s failed; the end of %s:\n' "$label" "$LOG_DIR/install.log" >&2
    tail -n 25 "$LOG_DIR/install.log" >&2
    exit 1
  fi
  say "install: $label in $(since "$began")"
}

install_mariadb() {
  local program missing=()
  for program in mariadbd mariadb-install-db mariadb; do
    command -v "$program" >/dev/null || missing+=("$program")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || die "${missing[*]} missing and there is no apt-get: install MariaDB 10.6 or later by hand"
  # The -core packages contain the programs only, without a system service.
  timed "MariaDB (apt-get)" apt_install mariadb-server-core mariadb-client-core
}

install_haproxy() {
  ! command -v haproxy >/dev/null || return 0
  command -v apt-get >/dev/null || die "haproxy is missing and there is no apt-get: install HAProxy by hand"
  timed "HAProxy (apt-get)" apt_install haproxy
}

copy_jars() {
  local pom=$1 target=$2
  rm -rf "$target.new"
  mvn -B -ntp -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$target.new"
  rm -rf "$target"
  mv "$target.new" "$target"
}

# install_jars NAME: installs the dependencies of NAME/pom.xml in lib/NAME; the stamp detects a changed pom.
install_jars() {
  local name=$1 pom=$STACK_HOME/$1/pom.xml target=$LIB_DIR/$1 stamp
  stamp=$(sha256sum <"$pom")
  if [[ -f $target/.stamp && $(<"$target/.stamp") == "$stamp" ]]; then return; fi
  command -v mvn >/dev/null || die "mvn is missing: install Maven 3 (Debian: apt-get install maven)"
  timed "$name jars (Maven)" copy_jars "$pom" "$target"
  echo "$stamp" >"$target/.stamp"
}

create_python_client() {
  local requirements=$1 target=$2
  rm -rf "$target"
  # A virtual environment cannot be moved after it was made.
  python3 -m venv "$target"
  "$target/bin/pip" install --quiet --no-input --disable-pip-version-check --only-binary :all: --require-hashes -r "$requirements"
}

# install_python_client: the stamp detects changed requirements and another Python.
install_python_client() {
  local requirements=$STACK_HOME/python-client/requirements.txt target=$LIB_DIR/python-client stamp
  command -v python3 >/dev/null || die "python3 is missing: install Python 3.10 or later with venv (Debian: apt-get install python3-venv)"
  stamp=$(cat "$requirements" - <<<"$(python3 --version)" | sha256sum)
  if [[ -f $target/.stamp && $(<"$target/.stamp") == "$stamp" ]]; then return; fi
  timed "python-client (pip)" create_python_client "$requirements" "$target"
  echo "$stamp" >"$target/.stamp"
}

create_mysql_parser() {
  local source=$1 target=$2
  rm -rf "$target"
  mkdir -p "$target"
  cp "$source"/package.json "$source"/package-lock.json "$target/"
  npm ci --prefix "$target" --ignore-scripts --no-audit --no-fund
}

install_mysql_parser() {
  local source=$STACK_HOME/mysql-parser target=$LIB_DIR/mysql-parser stamp
  command -v npm >/dev/null || die "npm is missing: install Node.js 18 or later with npm"
  stamp=$(sha256sum <"$source/package-lock.json")
  if [[ -f $target/.stamp && $(<"$target/.stamp") == "$stamp" ]]; then return; fi
  timed "mysql-parser (npm)" create_mysql_parser "$source" "$target"
  echo "$stamp" >"$target/.stamp"
}

compile_classes() {
  local source=$STACK_HOME/java target=$LIB_DIR/java
  rm -rf "$target.new"
  mkdir -p "$target.new/loopback" "$target.new/admin"
  "$JAVA_BIN/javac" -nowarn --patch-module "java.base=$source" -d "$target.new/loopback" \
    "$source/sun/nio/ch/LoopbackSelectorProvider.java"
  "$JAVA_BIN/javac" -cp "$LIB_DIR/rocketmq/*" -d "$target.new/admin" "$source/StackAdmin.java"
  # A class data archive halves the start time of the admin tool; it accepts jars only.
  "$JAVA_BIN/jar" --create --file "$target.new/admin.jar" -C "$target.new/admin" .
  rm -rf "$target"
  mv "$target.new" "$target"
}

install_classes() {
  local target=$LIB_DIR/java version stamp
  version=$("$JAVA_BIN/java" -version 2>&1)
  # The stamp includes the JDK's version, because the loopback class extends an internal class of the JDK.
  stamp=$(cat "$STACK_HOME"/java/*.java "$STACK_HOME"/java/sun/nio/ch/*.java "$LIB_DIR/rocketmq/.stamp" - <<<"$version" | sha256sum)
  if [[ -f $target/.stamp && $(<"$target/.stamp") == "$stamp" ]]; then return; fi
  if ! [[ $version =~ \"([0-9]+) ]] || ((BASH_REMATCH[1] < 11)); then
    die "Java 11 or later is needed; found: ${version%%$'\n'*}"
  fi
  [[ -x $JAVA_BIN/javac ]] || die "javac is missing beside $JAVA_BIN/java: install a JDK, not only a JRE (Debian: apt-get install default-jdk-headless)"
  timed "helper classes (javac)" compile_classes
  echo "$stamp" >"$target/.stamp"
}

install_all() {
  find_java
  mkdir -p "$LIB_DIR"
  install_mariadb
  install_haproxy
  install_jars rocketmq
  install_jars proxy
  install_jars java-client
  install_python_client
  install_mysql_parser
  install_classes
}

# jar_version FILE: a-b-1.2.3.jar -> 1.2.3
jar_version() {
  local name=${1##*-}
  if [[ -f $1 ]]; then echo "${name%.jar}"; else echo "(not installed)"; fi
}

# loopback_options ADDRESS: prints JVM options that bind a server to this loopback address only.
loopback_options() {
  echo "-Dstack.address=$1"
  echo "--patch-module=java.base=$LIB_DIR/java/loopback"
  echo "-Djava.nio.channels.spi.SelectorProvider=sun.nio.ch.LoopbackSelectorProvider"
  # Netty's native transports open sockets without the provider.
  echo "-Dio.netty.transport.noNative=true"
  echo "-Dio.grpc.netty.shaded.io.netty.transport.noNative=true"
}
