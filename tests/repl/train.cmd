#! --quiet --keep-going --format json
# A run of two updates, one more, what it leaves, and what is refused.
train --out t --preset text-tiny --data samples/shakespeare.txt --set global_batch_size=2 --steps 2 --seed 3
train --out t --from t --data samples/shakespeare.txt --steps 1 --valid-every 1 --valid-tokens 1000
tensors generator/* --all --file t
train --out u --from tests/data/optim/start.safetensors --config tests/data/optim/opt_adamw/config.json --tokens tests/data/optim/targets.npy
sql SELECT command, status, count(*) AS runs FROM runs GROUP BY 1, 2
runs command=train --columns status,config.d_model,config.global_batch_size,settings.steps,settings.seed
train
train --out u
train --out u --preset text-tiny --data samples/shakespeare.txt --tokens tests/data/optim/targets.npy
train --out u --preset text-tiny --tokens tests/data/optim/targets.npy --valid-every 1
train --out u --preset text-tiny --tokens tests/data/optim/targets.npy --set global_batch_size=3
train --out u --config tests/data/optim/opt_adamw/config.json --tokens tests/data/optim/targets.npy --steps 6
train --out u --preset nothing --data samples/shakespeare.txt
train --out samples/heldout.txt --preset text-tiny --data samples/shakespeare.txt --steps 1
train --out u --preset text-tiny --data samples/shakespeare.txt --set lr_schedule=inv_sqrt
