s/\b1[a-z][0-9a-z]{8}\b/RUNID/g
s/,[0-9]{10,}(\.[0-9]+)?,[0-9.e-]+,(finished|failed)/,START,TIME,\2/
s/(tokens_per_second=)[0-9.e+]+/\1TIME/g
/= tokens_per_second$/{
n
s/= .*/= TIME/
}
s/^( *(pid|host|cwd|version|threads|started_at|memory) = ).*/\1.../
s/^( *config = ).*/\1{...}/
s/"(started|started_at)":[^,]*,/"\1":...,/g
s/"gemm":"[a-z0-9]+"/"gemm":"..."/g
s/(RUNID\tDATE\t)[0-9.]+\t[0-9.e-]+\t/\1START\tTIME\t/
