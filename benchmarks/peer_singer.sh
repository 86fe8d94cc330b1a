#!/bin/sh
# A Singer tap piped into target-duckdb.   usage: peer_singer.sh VENV BASE_URL DATABASE (an absolute path)
set -e
here=$(cd "$(dirname "$0")" && pwd)
folder=$(dirname "$3")
printf '{"base_url":"%s"}' "$2" > "$folder/tap.json"
printf '{"path":"%s","default_target_schema":"cashpay","add_metadata_columns":false,"batch_size_rows":50000}' "$3" \
    > "$folder/target.json"
"$1/bin/python" "$here/peer_tap.py" --config "$folder/tap.json" 2> "$folder/tap.log" \
    | "$1/bin/target-duckdb" --config "$folder/target.json" > "$folder/state.json" 2> "$folder/target.log"
