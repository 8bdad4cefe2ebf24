#!/usr/bin/env bash
# Adds a service that runs, from the one in example/: make new-service NAME=notifier. Everything is done and checked
# in a copy of the checkout, and only then taken over: what fails changes nothing.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.."
checkout=$PWD
name=${NAME:-}

refuse() {
    echo "new-service: $*" >&2
    exit 2
}

case $name in
'') refuse "NAME is not set, such as: make new-service NAME=notifier" ;;
*[!a-z0-9-]* | [!a-z]* | *- | *--*)
    refuse "NAME=$name: must be lower-case letters, digits and single dashes, with a letter first and no dash last, such as notifier or mail-notifier" ;;
esac
# Kubernetes' names have 63 characters; the chart gives 40 to the release, and there is a dash.
[ ${#name} -le 22 ] || refuse "NAME=$name: has ${#name} characters, must have 22 at most: with the release's name in front it is a name in Kubernetes"
[ ! -e "services/$name" ] || refuse "NAME=$name: there is a services/$name already, choose another name"
# Images are named after folders of deploy/ too, and objects of the chart after what else is in it, such as redis.
if [ -e "deploy/$name" ] || grep -rq "(list [.\$] \"$name\"[ )]" helm/agentbus/templates; then
    refuse "NAME=$name: something else of agentbus has that name, choose another one"
fi

group=${name//-/_}
group=${group%s}s
port=9080
while grep -q "127.0.0.1:$port\"" services/*/main.go || [ $port = 9090 ]; do # 9090 is Prometheus' own
    port=$((port + 1))
done

# named FILE prints the file with the service's name, group and port in the place of the example's.
named() {
    sed -e "s/example-service/$name/g" -e "s/example_services/$group/g" -e "s/127\.0\.0\.1:9079/127.0.0.1:$port/g" "$1"
}

# insert ENTRY FILE puts the named entry before the line that says where.
insert() {
    local here='# make new-service puts the next one here'
    grep -q "^ *$here\$" "$2" || refuse "$2 has no line \"$here\", before which the entry belongs"
    entry=$(named "$1" && echo .) here=$here awk '
        index($0, ENVIRON["here"]) { printf "%s", substr(ENVIRON["entry"], 1, length(ENVIRON["entry"]) - 1) }
        { print }' "$2" >"$copy/inserted"
    cat "$copy/inserted" >"$2"
    rm "$copy/inserted"
}

# In the checkout's own file system, so that taking over is renaming.
mkdir -p .agentbus
copy=$(mktemp -d "$checkout/.agentbus/new-service.XXXXXX")
trap 'rm -rf "$copy"' EXIT
touch "$copy/.begun"
make --no-print-directory -s copy TO="$copy"
cd "$copy"

mkdir "services/$name"
for file in deploy/newservice/example/*; do
    named "$file" >"services/$name/${file##*/}"
done
printf 'module agentbus/services/%s\n\n%s\n' "$name" "$(grep '^go ' go.work)" >"services/$name/go.mod"
go work use "./services/$name"
insert deploy/newservice/values.yaml helm/agentbus/values.yaml
insert deploy/newservice/compose.yaml deploy/compose.yaml

echo "new-service: go.mod, and a build without the workspace"
make --no-print-directory -s tidy standalone MODULES="services/$name"
echo "new-service: chart, its golden files, compose.yaml"
go test ./deploy/chart -update

cd "$checkout"
files=(go.work go.work.sum helm/agentbus/values.yaml deploy/compose.yaml deploy/chart/testdata/*)
edited=$(find "${files[@]}" -newer "$copy/.begun")
[ -z "$edited" ] || refuse "${edited//$'\n'/, } was edited meanwhile, try again"
trap '' INT TERM
echo "new-service: $name reads the group $group, its metrics are at 127.0.0.1:$port. Written:"
for file in "services/$name" "${files[@]}"; do
    if ! diff -rq "$copy/$file" "$file" >/dev/null 2>&1; then
        mv "$copy/$file" "$file"
        echo "  $file"
    fi
done
