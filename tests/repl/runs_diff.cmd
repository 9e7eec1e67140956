#! --keep-going --format table
# Runs beside each other.
import tests/data/store/book-runs.jsonl
import tests/data/store/book-metrics.csv
import tests/data/store/book-samples.json
diff base wide
diff base wide 1c
set width 72
diff tales "tales cold" --samples
set width 0
set format json
diff base wide
diff tales "tales cold" --samples
set format csv
diff base base --all
diff base
diff base nosuch
# Curves of several runs in one picture.
set format json
plot metric --run base --run wide --metric loss --out steps.png
plot metric --run base --run wide --metric loss --align tokens --smooth 0.8 --out tokens.png
plot metric --run base --run wide --metric loss --metric tokens --align time --log --out time.png
plot metric --run base --metric nosuch --out x.png
plot metric --run 1c --metric loss --align tokens --out x.png
plot metric --run base --metric loss --smooth 1
plot metric --run base --metric loss
# A run that has ended is followed to its end at once.
set format csv
watch base --metric loss
watch 1c
