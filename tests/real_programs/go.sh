# the Go compiler, and what it has compiled
export GOCACHE=$PWD/cache GO111MODULE=off
go build -o parts "${0%/*}/parts.go" && exec ./parts
