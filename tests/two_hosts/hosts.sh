#!/usr/bin/env bash
# Two hosts, which are network namespaces, and one rank of a job on each.
#
#   unshare --user --map-root-user --net bash hosts.sh LINK KEPT OUT PROGRAM ARGUMENT...
#
# LINK is `direct`, a veth pair; `slow`, a link on which a packet takes 20 ms each way; or `cut`, a slow link that is cut in the job's
# second epoch. When both ranks have ended, the cut link is restored and the job is resumed.
#
# KEPT/ROUND.RANK has the standard error of a rank; ROUND is `first` or `resumed`. KEPT/ROUND.RANK.code has its exit code and is written
# when the rank ends. KEPT/cut is written at the cut. The script exits with 99 if the system does not allow such hosts.
set -eu
link=$1 kept=$2 out=$3
shift 3
slow_wire=$(dirname "$0")/slow_wire.py
on() { nsenter --net --target "$@"; }

# Starts a process in a new network namespace; $host is its process id.
new_host() {
  unshare --net sleep 600 &
  host=$!
  while [ "$(readlink /proc/$host/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.01; done
}

# plug HOST INTERFACE ADDRESS: moves an interface to a host and sets its address.
plug() {
  ip link set "$2" netns "$1"
  on "$1" ip addr add "$3/24" dev "$2"
  on "$1" ip link set "$2" up
  on "$1" ip link set lo up
}

join_hosts() {
  new_host && a=$host
  new_host && b=$host
  if [ "$link" = direct ]; then
    ip link add to_b type veth peer name to_a
  else
    ip link add to_b type veth peer name left
    ip link add to_a type veth peer name right
    ip link set left up
    ip link set right up
  fi
  plug "$a" to_b 10.9.0.1
  plug "$b" to_a 10.9.0.2
  if [ "$link" != direct ]; then
    on "$a" python3 "$slow_wire" --as-it-is to_b
    on "$b" python3 "$slow_wire" --as-it-is to_a
    python3 "$slow_wire" 0.020 left right &
  fi
}

# rank HOST INTERFACE RANK ROUND PROGRAM ARGUMENT...
rank() {
  local host=$1 interface=$2 rank=$3 said=$kept/$4.$3
  shift 4
  local code=0
  on "$host" env RANK="$rank" LOCAL_RANK=0 WORLD_SIZE=2 MASTER_ADDR=10.9.0.1 MASTER_PORT=29500 GLOO_SOCKET_IFNAME="$interface" \
    timeout 120 "$@" >/dev/null 2>"$said" || code=$?
  echo "$code" >"$said.code"
}

# job ROUND PROGRAM ARGUMENT...
job() {
  rank "$b" to_a 1 "$@" &
  local other=$!
  rank "$a" to_b 0 "$@"
  wait "$other"
}

trap 'kill $(jobs -p) 2>/dev/null' EXIT
join_hosts || exit 99
if [ "$link" != cut ]; then
  job first "$@" --out "$out"
  exit
fi
job first "$@" --out "$out" &
first=$!
# The first epoch is over; the second takes longer than this.
until [ -e "$out/metrics.csv" ] || ! kill -0 "$first" 2>/dev/null; do sleep 0.02; done
sleep 0.3
ip link set left down
touch "$kept/cut"
wait "$first"
ip link set left up
job resumed "$@" --resume "$out"
