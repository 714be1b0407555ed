#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_tutorial.sh page.md commands source-dir folder-of-bitdrop.pc folder-of-library compiler...
# Runs the commands of a page, and compares what they print with what the page shows. A block of C is a part of the file
# that its first line names, for example /* mask.c */. A block "console" has commands after "$ ", and what they print.
# The page must have at least as many commands as the argument says, so that a change of its format is noticed.
set -eu

page=$1
commands=$2
source=$3
export PKG_CONFIG_PATH="$4" LD_LIBRARY_PATH="$5"
shift 5
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/bin" "$dir/tutorial"
ln -s "$source/examples" "$dir/examples"

awk -v dir="$dir" '
    /^```/ {
        console = $0 == "```console"
        begins = $0 == "```c"
        out = ""
        next
    }
    begins {
        if ($0 !~ /^\/\* [a-z]+\.c \*\/$/) { print FILENAME ":" NR ": no name of a file"; exit 1 }
        out = dir "/tutorial/" $2
        printf "#line %d \"%s\"\n", NR, FILENAME >out
        begins = 0
    }
    out != "" { print >out }
    console && /^\$ / { sub(/^\$ /, ""); print >(dir "/commands"); print "$ " $0 >(dir "/shown"); count++; next }
    console { print >(dir "/shown") }
    END { print count + 0 >(dir "/count") }' "$page"

# The page's cc becomes the compiler of this build, which is called by its path because it may be named cc too. If it
# has no OpenMP, it ignores the pragma.
compiler=$(command -v "$1")
shift
set -- "$compiler" "$@"
echo 'int main(void) { return 0; }' >"$dir/empty.c"
openmp=-fopenmp
"$@" -fopenmp "$dir/empty.c" -o "$dir/empty" 2>"$dir/no-openmp" || openmp=-Wno-unknown-pragmas
cat >"$dir/bin/cc" <<CC
#!/bin/sh
for word; do
    shift
    [ "\$word" != -fopenmp ] || word=$openmp
    set -- "\$@" "\$word"
done
exec $* -std=c11 -Wall -Wextra -Werror "\$@"
CC
chmod +x "$dir/bin/cc"
export PATH="$dir/bin:$PATH"

cd "$dir/tutorial"
while IFS= read -r command; do
    printf '$ %s\n' "$command"
    sh -c "$command" </dev/null
done <"$dir/commands" >"$dir/printed" 2>&1 || { cat "$dir/printed"; exit 1; }
diff "$dir/shown" "$dir/printed"
[ "$(cat "$dir/count")" -ge "$commands" ] || { echo "$page has $(cat "$dir/count") commands, not $commands"; exit 1; }
