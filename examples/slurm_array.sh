#!/bin/bash
# One extraction as a Slurm job array of 8 parts, joined by a job that waits for them:
#
#   array=$(sbatch --parsable examples/slurm_array.sh)
#   sbatch --dependency=afterok:$array --wrap 'thingsvision merge activations/clip-vit.shard-*'
#
# A part that is preempted and requeued goes on where it stopped.
#
# Where all nodes see the same files, the tasks can share one run instead, and nothing has to be merged:
#
#   sbatch --array=1-8 --cpus-per-task=4 --wrap 'thingsvision extract --model clip-vit --images things/ --join'
#SBATCH --job-name=thingsvision
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --requeue
#SBATCH --open-mode=append

exec thingsvision extract --model clip-vit --images things/ --average-by folder \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
