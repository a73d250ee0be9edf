import { router } from "./router";

/** Go to the sign-in page, and come back here afterwards. */
export function askToSignIn(): void {
  const here = router.state.location;
  if (here.pathname === "/sign-in") return;
  void router.navigate({ to: "/sign-in", search: { to: here.href }, replace: true });
}

/** An address within the console, whatever was asked for: never another site. */
export function within(to: string | undefined): string {
  if (!to?.startsWith("/") || to.startsWith("//") || to.includes("\\") || to.startsWith("/sign-in"))
    return "/";
  return to;
}
