# Sourced where uv installs: it does not read pip's configuration, so it is handed the index and the certificates that pip
# was told to use. Needs `installer`, which runs pip.
told() { installer config list 2>/dev/null | sed -n "s/^global\\.$1='\\(.*\\)'\$/\\1/p"; }
index=${PIP_INDEX_URL:-$(told index-url)}
certificates=${PIP_CERT:-$(told cert)}
[ -n "${UV_DEFAULT_INDEX:-}" ] || [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
[ -n "${SSL_CERT_FILE:-}" ] || [ -z "$certificates" ] || export SSL_CERT_FILE="$certificates"
