#!/bin/bash
# Sixteen workers of one study as a Slurm array: STUDY=book sbatch examples/cluster/slurm.sh
#
# Start `hpsearch run $STUDY` first, on a host that stays: it enters the study and writes MLflow.
# Each task is one worker on one core. A worker ends when the study does. Before the time limit it
# takes no further trial; what still runs then is handed back, and another worker takes it.
#SBATCH --job-name=hpsearch
#SBATCH --array=1-16
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=01:00:00
#SBATCH --signal=B:TERM@30
#SBATCH --requeue
set -euo pipefail

: "${STUDY:?name a study, as in STUDY=book sbatch $0}"
# A file that only you can read, with the address of the ledger in PostgreSQL.
export HPSEARCH_STORAGE_FILE=${HPSEARCH_STORAGE_FILE:-$HOME/.hpsearch-storage}

# exec: the signal reaches the worker itself. 55 minutes leave the last trial five.
exec hpsearch worker "$STUDY" --max-time 3300
