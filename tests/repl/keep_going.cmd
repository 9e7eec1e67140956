#! --keep-going
show seed
show nothing
show seed; bogus; show seed
"show" 'seed'
