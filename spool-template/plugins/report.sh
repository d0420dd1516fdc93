#!/bin/sh
# report.sh: writes the findings of a run as text to reports/RUN.txt beside the
# plugins folder, with the agents that did not answer.
#
# An example of a plugin: the results document is on stdin, variables such as
# MIG_RUN identify the run, and exit status 0 means that the results were accepted.
# The report gets its name only when it is complete; a repeated delivery writes the
# same report again. Requires only sh and awk.

set -eu
umask 077
LC_ALL=C
export LC_ALL

: "${MIG_RUN:?is not set: mig-runner starts this program}"
reports=../reports
report=$reports/$MIG_RUN.txt
mkdir -p "$reports"
trap 'rm -f "$report.new"' EXIT
trap 'exit 1' HUP INT TERM

awk '
# JSON is read as a stream: strings stand between quotes, the rest is structure.
# depth is the number of open objects and arrays; key[d] is the current key of the
# one at depth d. A command is an object at depth 3, its findings are at depth 8:
# commands [ { results [ { elements { LABEL [ { file, fileinfo { ... } } ] } } ] } ]
{
    pieces = split($0, piece, "\"")
    for (p = 1; p <= pieces; p++) {
        structure(piece[p])
        if (++p > pieces) break
        text = piece[p]
        # A quote after an odd number of backslashes belongs to the string.
        while (p < pieces && match(text, /\\+$/) && RLENGTH % 2)
            text = text "\"" piece[++p]
        string(text)
    }
}

function structure(s,    i, c, size) {
    size = length(s)
    for (i = 1; i <= size; i++) {
        c = substr(s, i, 1)
        if (c ~ /[-+.0-9A-Za-z]/) {
            word = word c
            continue
        }
        if (word != "") {
            value(word)
            word = ""
        }
        if (c == "{" || c == "[") {
            kind[++depth] = c
            key[depth] = ""
            named[depth] = 0
            begun = 1
        } else if (c == "}" || c == "]")
            end()
        else if (c == ",")
            named[depth] = 0
    }
}

function string(text) {
    if (kind[depth] == "{" && !named[depth]) {
        key[depth] = text
        named[depth] = 1
    } else
        value(text)
}

function value(v) {
    if (depth == 1 && key[1] == "name")
        job = plain(v)
    else if (depth == 2 && key[1] == "action" && key[2] == "id")
        action = plain(v)
    else if (depth == 2 && key[1] == "action" && key[2] == "target")
        target = plain(v)
    if (key[1] != "commands")
        return
    if (depth == 3 && key[3] == "status")
        status = plain(v)
    else if (depth == 4 && key[3] == "agent" && key[4] == "name")
        agent = plain(v)
    if (key[3] != "results" || depth < 5)
        return
    if (depth == 5 && key[5] == "foundanything" && v == "true")
        found = 1
    else if (depth == 6 && key[5] == "errors")
        error[++errors] = plain(v)
    else if (depth == 8 && key[5] == "elements" && key[8] == "file")
        file = plain(v)
    else if (depth == 9 && key[5] == "elements" && key[8] == "fileinfo")
        info[key[9]] = plain(v)
}

function end() {
    if (depth == 8 && key[1] == "commands" && key[3] == "results" && key[5] == "elements")
        end_of_finding()
    else if (depth == 3 && key[1] == "commands")
        end_of_command()
    depth--
}

function end_of_finding() {
    # An entry without a file means that nothing was found.
    if (file != "") {
        line[++lines] = sprintf("  %-11s %10s  %s", info["mode"], info["size"], file)
        # On a line of its own, so that each line fits on a terminal.
        if (info["sha256"] != "")
            line[lines] = line[lines] "\n    sha256 " info["sha256"]
    }
    file = ""
    split("", info)
}

function end_of_command(    i) {
    agents++
    if (status != "success")
        silent[++silents] = agent " (" status ")"
    if (lines || found || errors)
        printf "\n%s\n", agent
    for (i = 1; i <= lines; i++)
        print line[i]
    if (found && !lines)
        print "  found something other than files: see the results document"
    for (i = 1; i <= errors; i++)
        print "  ! " error[i]
    if (lines || found)
        finders++
    files += lines
    lines = errors = found = 0
    agent = status = file = ""
}

# Makes a text safe for a terminal: control characters stay escaped as in JSON, and
# the few that JSON allows unescaped become question marks.
function plain(s) {
    gsub(/\\u003c/, "<", s)
    gsub(/\\u003e/, ">", s)
    gsub(/\\u0026/, "\\&", s)
    gsub(/\\\//, "/", s)
    gsub(/\\"/, "\"", s)
    gsub(/\177|\302[\200-\237]|\342\200[\216\217\250-\256]|\342\201[\246-\251]/, "?", s)
    return s
}

END {
    if (!begun || depth) {
        print "report.sh: the results document is incomplete" > "/dev/stderr"
        exit 1
    }
    if (silents) {
        print "\ndid not answer, or failed:"
        for (i = 1; i <= silents; i++)
            print "  " silent[i]
    }
    printf "\njob %s, run %s, action %s, target %s\n", job, ENVIRON["MIG_RUN"], action, target
    printf "%d files found on %d of %d agents, %d without an answer\n",
        files, finders, agents, silents
}
' > "$report.new"

mv "$report.new" "$report"
echo "$(tail -n 1 "$report"): reports/$MIG_RUN.txt"
