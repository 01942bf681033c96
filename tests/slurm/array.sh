#!/bin/bash
# An extraction as a job array on a real Slurm, set up for this test on this machine: three shards, of which one is killed and
# requeued, and a merge that depends on them. Everything must have the bytes of a run without Slurm.
#
#   cargo xtask slurm      (as root, on Debian or Ubuntu; installs slurm-wlm if it is not there)
set -euo pipefail

program=$1
examples=$(cd "$(dirname "$0")/../../examples" && pwd)
place=$(mktemp -d)
export SLURM_CONF=$place/slurm.conf

if ! command -v slurmctld slurmd sbatch munged > "$place/found"; then
    apt-get install --yes --no-install-recommends slurm-wlm munge
fi

stop() {
    for daemon in slurmd slurmctld munged; do
        if [ -f "$place/$daemon.pid" ]; then kill "$(cat "$place/$daemon.pid")" || true; fi
    done
    sleep 1
    rm -rf "$place"
}
trap stop EXIT

# The daemons.
mkdir -p "$place"/{state,spool,munge}
dd if=/dev/urandom of="$place/munge/key" bs=128 count=1 status=none
chmod 755 "$place"
chown -R munge: "$place/munge" && chmod 755 "$place/munge" && chmod 400 "$place/munge/key"
touch "$place/munged.pid" && chown munge: "$place/munged.pid"
socket=$place/munge/socket
runuser -u munge -- munged --key-file="$place/munge/key" --socket="$socket" --pid-file="$place/munge/munged.pid" \
    --log-file="$place/munge/log" --seed-file="$place/munge/seed"
cp "$place/munge/munged.pid" "$place/munged.pid"
cat > "$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$socket,cred_expire=2
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
KillWait=1
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd.log
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=$(hostname) NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
slurmctld
slurmd
for _ in $(seq 60); do sinfo --noheader --format=%T | grep -qE 'idle|mixed' && break; sleep 0.5; done
sinfo

# The same run with and without it.
cd "$place"
arguments=(extract --model alexnet --weights random --layer 'features.*' --layer classifier.5 --images "$examples/images" --batch-size 4)
"$program" "${arguments[@]}" --out alone --quiet
cat > job.sh <<END
#!/bin/bash
exec "$program" ${arguments[*]@Q} --workers 1 --out array --shard "\$SLURM_ARRAY_TASK_ID/\$SLURM_ARRAY_TASK_COUNT"
END
array=$(sbatch --parsable --array=1-3 --requeue --cpus-per-task=1 --output=shard-%a.log --open-mode=append job.sh)
merge=$(sbatch --parsable --dependency=afterok:"$array" --cpus-per-task=1 --output=merge.log --wrap "'$program' merge array/*.shard-*")

# One task is killed in the middle of its work, and requeued.
journal=array/alexnet.random-0.shard-2-of-3.partial/done.txt
for _ in $(seq 2000); do [ -d "${journal%/*}" ] && break; sleep 0.01; done
scontrol requeue "${array}_2"
echo "shard 2 was requeued; kept: $(cat "$journal" 2> /dev/null | tr '\n' ' ')"

# Slurm lets a requeued job wait for two minutes.
for _ in $(seq 20); do scontrol update JobId="${array}_2" StartTime=now 2> /dev/null && break; sleep 0.5; done
for _ in $(seq 480); do
    state=$(scontrol show job "$merge" | grep -o 'JobState=[A-Z]*')
    case $state in JobState=COMPLETED | JobState=FAILED | JobState=CANCELLED | JobState=TIMEOUT) break ;; esac
    sleep 0.5
done
cat shard-*.log
if [ -f merge.log ]; then cat merge.log; fi
[ "$state" = JobState=COMPLETED ] || { echo "the merge did not end well: $state"; squeue --all; tail -20 slurmctld.log slurmd.log; exit 1; }
scontrol show job "${array}_2" | grep -o 'Restarts=[0-9]*'
for file in alone/alexnet.random-0/*; do
    name=$(basename "$file")
    [ "$name" = run.json ] || cmp "$file" "array/alexnet.random-0/$name"
done
"$program" verify array/alexnet.random-0 --rows 4
echo "the array has the bytes of a run without Slurm"
