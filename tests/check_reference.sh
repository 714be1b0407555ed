#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: check_reference.sh bitdrop.h reference.md bitdrop.hpp
# The reference must have the header's prototypes, its enum constants with their values, the members of each structure,
# every other name, and the version. It must have no name that the header does not have. The header for C++ must call
# every function except those that return the sizes of structures.
set -eu
export LC_ALL=C # sort and comm must agree

header=$1
reference=$2
cxx=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# Strips comments and C++ guards from the header, and writes the names of its macros and its declarations to two files.
awk -v macros="$dir/macros" '
    { text = text $0 "\n" }
    END {
        while ((i = index(text, "/*")) > 0) {
            j = index(substr(text, i + 2), "*/")
            text = substr(text, 1, i - 1) " " substr(text, i + j + 3)
        }
        count = split(text, line, "\n")
        for (i = 1; i <= count; i++) {
            if (line[i] ~ /^#ifdef __cplusplus/) cplusplus = 1
            if (line[i] ~ /^#define/ && line[i] !~ /_H$/) { split(line[i], word); print word[2] >macros }
            if (line[i] !~ /^#/ && !cplusplus && !continued) print line[i]
            if (line[i] ~ /^#endif/) cplusplus = 0
            continued = line[i] ~ /\\$/
        }
    }' "$header" >"$dir/declarations"
awk '/^```/ { code = /^```c$/; next } code' "$reference" >"$dir/code"

# same what: fails, and prints the differences, if the sorted files what and what.md differ.
same() {
    [ -s "$dir/$1" ] || { echo "no $1 in $header"; failed=1; }
    comm -23 "$dir/$1" "$dir/$1.md" | sed "s/^/$1, in the header only: /" >"$dir/differences"
    comm -13 "$dir/$1" "$dir/$1.md" | sed "s/^/$1, in the reference only: /" >>"$dir/differences"
    [ ! -s "$dir/differences" ] || { cat "$dir/differences"; failed=1; }
}

# prototypes file: prints each prototype on one line, with single spaces.
prototypes() {
    tr '\n' ' ' <"$1" | tr ';' '\n' |
        sed -e 's/BITDROP_API//' -e 's/BITDROP_MUST_CHECK//' -e 's/  */ /g' -e 's/^ //' -e 's/( /(/' |
        grep -E '^(const )?[a-z0-9_]+ \*?bitdrop_[a-z0-9_]+\(.*\)$' | sort
}
prototypes "$dir/declarations" >"$dir/prototypes"
prototypes "$dir/code" >"$dir/prototypes.md"
same prototypes
declared=$(grep -c '^BITDROP_API' "$header")
[ "$(wc -l <"$dir/prototypes")" -eq "$declared" ] || { echo "not all of the header's prototypes were read"; failed=1; }

# "NAME value". In the reference these are the first two columns of tables.
sed -n 's/^ *\(BITDROP_[A-Z0-9_]*\) = \([0-9]*\).*/\1 \2/p' "$dir/declarations" | sort >"$dir/constants"
# shellcheck disable=SC2016 # the backquotes are those of Markdown
sed -n 's/^| `\(BITDROP_[A-Z0-9_]*\)` | \([0-9][0-9]*\) |.*/\1 \2/p' "$reference" | sort >"$dir/constants.md"
same constants

# "structure member". In the reference these are rows of the table "| member |" below the heading ### `structure`.
awk '
    /^typedef struct / { name = $3; text = ""; next }
    name != "" && /^}/ {
        count = split(text, declaration, ";")
        for (i = 1; i < count; i++) {
            if ((j = index(declaration[i], "(*")) > 0) { # a function pointer
                member = substr(declaration[i], j + 2)
                sub(/\).*/, "", member)
                print name, member
                continue
            }
            parts = split(declaration[i], part, ",")
            for (j = 1; j <= parts; j++) {
                sub(/\[.*/, "", part[j])
                sub(/.*[ *]/, "", part[j])
                print name, part[j]
            }
        }
        name = ""
    }
    name != "" { text = text " " $0 }' "$dir/declarations" | sort >"$dir/members"
awk '
    /^#/ { name = "" }
    /^### `bitdrop_[a-z0-9_]*`$/ { name = $2; gsub(/`/, "", name) }
    !/^\|/ { table = 0 }
    /^\| member \|/ { table = 1 }
    name != "" && table && $2 ~ /^`/ { gsub(/`/, "", $2); print name, $2 }' "$reference" | sort >"$dir/members.md"
same members

# All names. BITDROP_ISA is not in the header: it is a variable of the environment.
names() { tr -cs 'A-Za-z0-9_' '\n' | grep -E '^(bitdrop|BITDROP)_' | sort -u; }
{ cat "$dir/declarations" "$dir/macros"; echo BITDROP_ISA; } | names >"$dir/names"
names <"$reference" >"$dir/names.md"
same names

sed 's/(.*//; s/.*[ *]//' "$dir/prototypes" | grep -v '^bitdrop_sizeof_' | while read -r name; do
    grep -q "[^_a-z]$name\\(($\\|[(,]\\)" "$cxx" || echo "$name is not called by $cxx"
done >"$dir/uncalled"
[ ! -s "$dir/uncalled" ] || { cat "$dir/uncalled"; failed=1; }

version=$(sed -n 's/^#define BITDROP_VERSION_[A-Z]* \([0-9]\)/\1/p' "$header" | paste -sd. -)
sed 1q "$reference" | grep -q "version $version\$" || { echo "the reference does not have version $version"; failed=1; }
grep -q "inline namespace v$(echo "$version" | cut -d. -f1,2 | tr . _) " "$cxx" ||
    { echo "the inline namespace of $cxx does not have version $version"; failed=1; }
exit $failed
