// Reads a compose file as Docker Compose does, with its own library, and prints what came of it as JSON.
//
// Docker Compose itself takes minutes to build; it says of a file what this library says.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	if len(os.Args) < 2 {
		fail("name a compose file, and the profiles to have")
	}
	options, err := cli.NewProjectOptions(
		os.Args[1:2], cli.WithOsEnv, cli.WithConsistency(true), cli.WithProfiles(os.Args[2:]),
	)
	if err != nil {
		fail(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		fail(err)
	}
	text, err := project.MarshalJSON()
	if err != nil {
		fail(err)
	}
	fmt.Println(string(text))
}

func fail(reason any) {
	fmt.Fprintln(os.Stderr, reason)
	os.Exit(1)
}
