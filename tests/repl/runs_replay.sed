s/("replay":"|replay:)[0-9a-z]{10}/\1RUNID/g
