#!/usr/bin/env bash
# Everything that is measured on a GPU, in one short run: bash benchmarks/gpu.sh OUTPUT_FOLDER
# The most important results come first; each part is limited, so that the others still run.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:?usage: bash benchmarks/gpu.sh OUTPUT_FOLDER}
mkdir -p "$out"
part() {
    local name=$1 seconds=$2
    shift 2
    timeout "$seconds" "$@" > "$out/$name.log" 2>&1
    echo "$name: exit status $? after $SECONDS s in total"
}
times=(python -m benchmarks --contestants ours jax_loop --rounds 5 --output "$out")
part omniglot5 150 "${times[@]}" --work omniglot5 --methods mtnet --name gpu_omniglot5
part omniglot5_tf32 120 "${times[@]}" --work omniglot5 --methods mtnet --name gpu_omniglot5_tf32 --tf32
part run_40000 180 python main.py --datasource=omniglot --synthetic --use_T --use_M \
    --metatrain_iterations=40000 --num_test_episodes=100 --data_dir="$out/data" --logdir="$out/runs"
part sinusoid 60 "${times[@]}" --work sinusoid --methods mtnet --name gpu_sinusoid
part omniglot20 120 "${times[@]}" --work omniglot20 --methods mtnet --name gpu_omniglot20
part miniimagenet1 150 "${times[@]}" --work miniimagenet1 --methods mtnet --name gpu_miniimagenet1
rm -rf "$out/data"
