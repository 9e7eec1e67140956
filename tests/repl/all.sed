# Applied to every transcript. Times, rates and run ids differ from run to run; the last digits of
# a sum differ from machine to machine.
s/(tokens_per_second|seconds)(": ?| *[|=]? *|\t)[0-9][0-9.e+-]*/\1\2TIME/g
s/\b(run|id)(": ?"| *[|=]? *|\t)[0-9a-z]{10}\b/\1\2RUNID/g
s/[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}/DATE/g
s/\b(0\.0*[1-9][0-9]{3}|[1-9]\.[0-9]{3}|[1-9][0-9]\.[0-9]{2}|[1-9][0-9]{2}\.[0-9])[0-9]+/\1/g
s/\b([1-9][0-9]{3,})\.[0-9]+/\1/g
# A configuration on one line is told by `info` in a table.
s/^(config|from)\t\{.*/\1\t{...}/
