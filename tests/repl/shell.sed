s/^time [0-9.]+ s/time TIME s/
/nothing-of-that-name: (command )?not found/d
