s/^gemm is one of.*|(set: gemm is one of: ).*/\1.../
