#! --keep-going --format table
load samples/models/text-small.safetensors --as small
score --text "It was a dark and stormy night."
sample --length 5 --seed 3
sample --length 5 --seed 4
# Typed as it is, to the end of the line or the semicolon; or as one quoted word.
sql SELECT command, count(*) AS n FROM runs GROUP BY command
sql SELECT 'a;b' AS x; sql SELECT 2 AS y
sql "SELECT command, seed
FROM runs
WHERE seed > 3"
sql SELECT r.command, s.tokens FROM runs r JOIN samples s ON s.run = r.id ORDER BY s.nats
sql SELECT 1 AS a, 2 AS a, NULL AS b, x'410042' AS c, 1.5 AS d
sql SELECT command FROM runs WHERE 0
sql SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name
# Wrong, and what would write.
sql
sql SELECT
sql SELECT colour FROM runs
sql SELEC 1
sql SELECT 1; 2
sql "SELECT 1; SELECT 2"
sql DELETE FROM runs
sql INSERT INTO tags VALUES (1, 2)
sql UPDATE runs SET command = 'x'
sql DROP TABLE runs
sql CREATE TABLE x (y)
sql ATTACH 'other.db' AS other
sql PRAGMA user_version = 7
sql PRAGMA user_version
sql SELECT load_extension('x')
sql SELECT count(*) FROM runs
!echo *.db
