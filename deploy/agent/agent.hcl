# bao agent (or vault agent) beside a program: logs in by AppRole, keeps its token alive, and
# renders secrets into a file whenever they change. Run it in a directory that only the program's
# user can read, which holds role-id, secret-id and app.env.ctmpl:
#
#   export BAO_ADDR=https://adyton.example:8200 BAO_CACERT=/etc/ssl/adyton-ca.pem
#   bao agent -config=agent.hcl

auto_auth {
  method "approle" {
    mount_path = "auth/approle"
    config = {
      role_id_file_path                   = "role-id"
      secret_id_file_path                 = "secret-id"
      remove_secret_id_file_after_reading = false
    }
  }
}

template_config {
  static_secret_render_interval = "10s"
  exit_on_retry_failure         = true
}

template {
  source               = "app.env.ctmpl"
  destination          = "app.env"
  perms                = "0600"
  error_on_missing_key = true
}
