# shellcheck shell=bash
# file_env NAME [DEFAULT]: lets the value of NAME be the text of the file that NAME_FILE names.
file_env() {
  local name=$1 file=$1_FILE
  if [ -n "${!name:-}" ] && [ -n "${!file:-}" ]; then
    echo "error: both $name and $file are set (but are exclusive)" >&2
    exit 1
  fi
  if [ -n "${!file:-}" ]; then
    printf -v "$name" '%s' "$(<"${!file}")"
  else
    printf -v "$name" '%s' "${!name:-${2:-}}"
  fi
  export "${name?}"
  unset "$file"
}

# run_init_files QUERY...: runs /docker-entrypoint-initdb.d in order; SQL goes to the command's standard input.
run_init_files() {
  local file
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh)
        echo "$0: running $file"
        if [ -x "$file" ]; then "$file"; else . "$file"; fi
        ;;
      *.sql) echo "$0: running $file"; "$@" <"$file" ;;
      *.sql.gz) echo "$0: running $file"; gzip --decompress --stdout "$file" | "$@" ;;
      /docker-entrypoint-initdb.d/'*') ;;
      *) echo "$0: ignoring $file" ;;
    esac
  done
}
