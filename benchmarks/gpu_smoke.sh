#!/usr/bin/env bash
# What fits on one GPU, in a few minutes: the local trainer in float32 and bfloat16, with both packings, with vLLM and on verl where they
# are installed. Writes OUT/gpu_smoke.md, with the GPU's name and the date, for docs/gpu.md.
#
#   OUT=smoke bash benchmarks/gpu_smoke.sh            in an environment with reasonrl; a part that cannot run says why and is left out
#
# MODEL (smollm2-135m), STEPS (20), DEVICE (cuda; cpu is for the test of this script), PYTHON (python3).
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
PYTHON=${PYTHON:-python3} OUT=${OUT:-gpu_smoke} MODEL=${MODEL:-smollm2-135m} STEPS=${STEPS:-20} DEVICE=${DEVICE:-cuda}
mkdir -p "$OUT"
if [ "$DEVICE" = cuda ] && ! "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
  echo "no NVIDIA GPU here that torch sees; this script measures one" >&2
  exit 2
fi

failed=0
part() { # NAME "MODULES" [key=value ...]: one run, or the reason why there is none
  local name=$1 modules=$2
  shift 2
  rm -f "$OUT/$name.left-out"
  for module in $modules; do
    if ! "$PYTHON" -c "import sys, importlib.util as u; sys.exit(u.find_spec('$module') is None)"; then
      echo "$name: left out, $module is not installed" | tee "$OUT/$name.left-out"
      return
    fi
  done
  echo "== $name"
  if ! "$PYTHON" -m reasonrl.cli train quickstart "run_dir=$OUT/$name" device="$DEVICE" model.path="$MODEL" \
    train.steps="$STEPS" optim.warmup_steps=1 evaluation.samples_per_problem=1 checkpoint.every_steps=null "$@" >"$OUT/$name.log" 2>&1; then
    tail -5 "$OUT/$name.log" >&2
    failed=1
  fi
}

part float32 torch model.dtype=float32
part plain torch model.dtype=float32 rollout.engine=hf_plain
part bfloat16 torch model.dtype=bfloat16
part rows torch model.dtype=bfloat16 train.packing=rows
part vllm vllm model.dtype=bfloat16 rollout.engine=vllm train.mismatch.name=tis
if [ "$DEVICE" = cuda ]; then
  part verl "verl vllm flash_attn" model.dtype=bfloat16 backend=verl verl.gpus_per_node=1 verl.rollout_memory_share=0.4 train.mismatch.name=tis
fi
"$PYTHON" benchmarks/gpu_smoke.py "$OUT" || failed=1
exit $failed
