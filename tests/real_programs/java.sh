# Java: the compiler, and what it has compiled
exec java "${0%/*}/Parts.java"
