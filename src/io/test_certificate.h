#pragma once

#include <string>

namespace sallyport::io::test {

/// A folder of this process that disappears with the object.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// Writes a file into it and returns the file's path. Folders in `name` are made.
  std::string write(const std::string& name, const std::string& content) const;

 private:
  std::string path_;
};

/// A fresh P-256 key and a certificate for "localhost" that it has signed itself, valid for an hour.
struct Certificate {
  std::string certificate_pem;
  std::string key_pem;
};
[[nodiscard]] Certificate make_certificate();
/// The same with a subjectAltName, such as "DNS:localhost,IP:127.0.0.1", which a client compares with whom it asked.
[[nodiscard]] Certificate make_certificate_for(const std::string& alternative_names);

}  // namespace sallyport::io::test
