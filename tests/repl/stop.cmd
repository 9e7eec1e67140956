show seed
show nothing
show never
