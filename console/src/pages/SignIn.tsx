import { Button, Loader, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { ApiError, answer, api } from "../api/client";
import { sessionQuery } from "../api/queries";
import { explain, Notice } from "../parts/States";
import { within } from "../session";
import { Brand } from "../shell/Brand";

const WANTED = "obverse:wanted";

/** Takes the token out of the address at once: no history and no screen keeps it. */
function takeToken(): string | null {
  const token = new URLSearchParams(window.location.hash.slice(1)).get("token");
  if (token !== null) {
    window.history.replaceState(window.history.state, "", window.location.pathname + window.location.search);
  }
  return token;
}

export function SignIn() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const { to } = useSearch({ from: "/sign-in" });
  const begun = useRef(false);
  // The link is opened anew, often in this same tab: where one wanted to go waits here.
  const wanted = () => within(to ?? sessionStorage.getItem(WANTED) ?? undefined);
  const enter = async () => {
    const target = wanted();
    sessionStorage.removeItem(WANTED);
    await queries.resetQueries();
    await navigate({ href: target, replace: true });
  };
  const signIn = useMutation({
    mutationFn: (token: string) => answer(api.POST("/v1/session", { body: { token } })),
    onSuccess: enter,
  });
  useEffect(() => {
    document.title = `${t("signIn.title")} · Obverse`;
    const hear = () => {
      const token = takeToken();
      if (token !== null) signIn.mutate(token);
    };
    if (!begun.current) {
      begun.current = true;
      if (to) sessionStorage.setItem(WANTED, within(to));
      hear();
    }
    window.addEventListener("hashchange", hear);
    return () => window.removeEventListener("hashchange", hear);
  }, [t, to, signIn.mutate]);
  const session = useQuery({ ...sessionQuery, retry: false, enabled: signIn.isIdle, staleTime: 0 });
  const spent = signIn.error instanceof ApiError && signIn.error.status === 401;
  return (
    <main style={{ minHeight: "100dvh", display: "grid", placeItems: "center", padding: 16 }}>
      <div className="panel" style={{ width: "min(440px, 100%)", padding: "32px 28px" }}>
        <Stack gap="md">
          <Brand size={40} />
          <div>
            <Title order={1}>{t("signIn.title")}</Title>
            <Text c="dimmed" size="sm" mt={4}>
              {t("signIn.about")}
            </Text>
          </div>
          {signIn.isPending || signIn.isSuccess ? (
            <Text role="status" size="sm" style={{ display: "flex", gap: 10, alignItems: "center" }}>
              <Loader size={16} /> {t("signIn.working")}
            </Text>
          ) : (
            <>
              {spent && (
                <Notice tone="warn" role="alert" title={t("signIn.spent")}>
                  {t("signIn.spentRemedy")}
                </Notice>
              )}
              {signIn.error && !spent && (
                <Notice tone="bad" role="alert" title={explain(signIn.error).detail}>
                  {explain(signIn.error).remedy}
                  <Button size="xs" mt={8} display="block" onClick={() => signIn.mutate(signIn.variables)}>
                    {t("action.retry")}
                  </Button>
                </Notice>
              )}
              {session.data && !signIn.error ? (
                <>
                  <Text size="sm">{t("signIn.already", { name: session.data.name })}</Text>
                  <Button variant="filled" onClick={enter}>
                    {t("signIn.go")}
                  </Button>
                </>
              ) : (
                <div>
                  <Text size="sm" mb={8}>
                    {t("signIn.how")}
                  </Text>
                  <pre className="code">obverse sign-in</pre>
                  <Text size="sm" c="dimmed" mt={8}>
                    {t("signIn.once")}
                  </Text>
                </div>
              )}
            </>
          )}
        </Stack>
      </div>
    </main>
  );
}
