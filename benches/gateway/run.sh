#!/bin/sh
# benches/gateway/run.sh HARNESS [TARGET...]
#
# Puts the release binary under the load of the harness in the folder HARNESS, beside the other
# targets (nginx, unless others are named; `nextjs` takes minutes to build and to run). The harness
# builds and writes inside its own folder, so a copy of it is used.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
harness=$1
shift
[ $# -gt 0 ] || set -- nginx
copy="$here/target/bench/harness"
if [ ! -d "$copy" ]; then
  mkdir -p "$here/target/bench"
  cp -r "$harness" "$copy"
fi
# nginx is sent the cookie that the Next.js application would make, so the packages that make it are
# needed even when the application is not built.
case " $* " in
*" nextjs "*) cp "$harness/nextjs/build.sh" "$copy/nextjs/build.sh" ;;
*) printf '#!/bin/sh\ncd "$(dirname "$0")" && npm install --no-audit --no-fund\n' \
  >"$copy/nextjs/build.sh" ;;
esac
[ -e "$copy/nextjs/.next" ] || WEIGHT=0 "$copy/setup.sh" >&2

data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT
export APP_CWD="$here"
export APP_CMD='target/release/breezeway serve --config benches/gateway/Leptos.toml'
export APP_URL=http://127.0.0.1:13003
export APP_ENV="{\"LEPTOS_SITE_ADDR\": \"127.0.0.1:13003\", \"BREEZEWAY__SERVER__DATA_DIR\": \"$data\", \"BREEZEWAY_LOG\": \"error\"}"
export APP_COOKIE_EACH=1
export APP_COOKIE_CMD='curl -s -o /dev/null -D - -X POST "$TARGET_URL/api/auth" | sed -n "s/^set-cookie: \([^;]*\).*/\1/ip" | tr -d "\r"'
export APP_PATHS='{"sse": "/api/proxy/api/deepchat", "cold": "/health", "ssr": null, "chat_page": null}'
export WEIGHT=0
"$copy/run.sh" "$@" app
